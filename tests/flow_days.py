"""The trading days of the order flow: phases as they come and go over the whole table, and the other acts.

`Days` believes what PHASE_CHANGED events tell it, and between two looks at events what its own acts should have caused.
Each instrument has a time at which it leaves its phase, so that days run through calls, uncrosses and the close; most
steps are ones that the table lets through, by symbol, by group and for all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.phases import PHASES, Mode, Permit
from engine.schema import COMMAND, OVERRIDE, CommandKind, EventKind, Phase, word
from tests.flow_levers import Lever, Levers
from tests.flow_mix import Mix, Terms, draw_terms
from tests.flow_odd import ODD_ENDS, ODD_VALUES

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Act = tuple[CommandKind, bytes]

FIRST_TIME: Final = 1_764_208_800_000_000_000
NEVER: Final = 1 << 62
COUNT: Final = max(Phase) + 1
PERMITS: Final = np.array([0, *(int(PHASES[phase].permits) for phase in Phase)], np.int64)
MODES: Final = np.array([0, *(int(PHASES[phase].mode) for phase in Phase)], np.int64)


def encode(act: dict[str, Any]) -> bytes:
    """Write the payload of an act as canonical JSON."""
    return json.dumps(act, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def act_rows(acts: Sequence[Act], first_seq: int, time: int = FIRST_TIME) -> tuple[Rows, bytes]:
    """Make one block of acts: COMMAND rows with consecutive seqs, and its payload section."""
    rows = np.zeros(len(acts), COMMAND)
    payload = bytearray()
    for place, (kind, text) in enumerate(acts):
        rows[place]["kind"] = kind
        rows[place]["target_lo"] = len(payload)
        rows[place]["target_hi"] = len(text)
        rows[place]["client_session"] = 1
        payload += text
    rows["seq"] = np.arange(first_seq, first_seq + len(acts))
    rows["time"] = time
    return rows, bytes(payload)


class Plan:
    """The acts of one chunk by their place in it, and which phase each instrument should be in at every place."""

    def __init__(self, phases: Ints) -> None:
        self.acts: dict[int, Act] = {}
        self.starts = [0]
        self.pictures = [phases.copy()]

    def turn(self, place: int, phases: Ints) -> None:
        """Note that from the row behind `place` on the phases are these."""
        self.starts.append(place + 1)
        self.pictures.append(phases.copy())

    def phases(self, at: Ints, instrument: Ints) -> Ints:
        """The phases of instruments at places of the chunk; that of an unknown instrument is closed."""
        table = np.stack(self.pictures)
        step = np.searchsorted(np.array(self.starts), at, side="right") - 1
        known = (instrument > 0) & (instrument < table.shape[1])
        found: Ints = np.where(known, table[step, np.where(known, instrument, 0)], Phase.CLOSED)
        return found


class Days:
    """Acts of one seed, and what they should have made of the phases."""

    def __init__(self, rng: np.random.Generator, mix: Mix) -> None:
        self.rng, self.mix = rng, mix
        self.levers = Levers(rng, mix)
        self.terms: list[Terms] = []
        self.phase = np.full(1, Phase.CLOSED, np.int64)
        self.own = np.zeros(1, bool)  # the phase is the instrument's alone (R65)
        self.due = np.full(1, NEVER, np.int64)
        self.closing: Ints = np.zeros(1, np.int64)
        self.has_closing = np.zeros(1, bool)
        self.pending: dict[int, Terms] = {}
        self.extra_names = 0
        weights = np.diff(np.concatenate([[0.0], mix.phase_steps, [1.0]]))
        self.liked = np.zeros(COUNT)
        self.liked[1 : len(weights) + 1] = weights
        self.moves = float(mix.kind_steps[-1]) < 1 - 1e-9
        self.stays = np.array([1.0, *(self._stay(phase) for phase in Phase)])

    def _stay(self, phase: Phase) -> float:
        mix, rule = self.mix, PHASES[phase]
        if rule.mode == Mode.CONTINUOUS:
            return mix.stay
        return max(1.0, mix.stay_call if rule.permits & Permit.ENTER else mix.away)

    def define(self, terms: list[Terms]) -> None:
        """Take note of all instruments there are now; new ones are closed."""
        more = len(terms) + 1 - len(self.phase)
        self.terms = terms
        due = 0 if self.moves else NEVER
        fresh = (("phase", Phase.CLOSED), ("own", False), ("due", due), ("closing", 0), ("has_closing", False))
        for name, value in fresh:
            kept = getattr(self, name)
            setattr(self, name, np.concatenate([kept, np.full(more, value, kept.dtype)]))

    def learn(self, events: Rows) -> None:
        """Believe what the events say about phases and closing prices."""
        kinds = events["kind"]
        told = (kinds == EventKind.PHASE_CHANGED) | (kinds == EventKind.AUCTION_UNCROSSED)
        for row in events[told]:
            number = int(row["instrument"])
            if number >= len(self.phase):
                continue
            if row["kind"] == EventKind.PHASE_CHANGED:
                if row["op"] != CommandKind.PHASE_SET:  # the trigger was pulled (R69): this call has its own length
                    self._rest(number, int(row["seq"]), Phase.VOLATILITY_AUCTION)
                self.phase[number] = row["phase"]
                self.own[number] = bool(row["flags"] & OVERRIDE)
                if row["phase"] == Phase.CLOSED:
                    self.has_closing[number] = False
            elif row["phase"] == Phase.CLOSING_AUCTION and row["qty"]:
                self.closing[number], self.has_closing[number] = row["price"], True

    # --- acts -------------------------------------------------------------------------------------

    def plan(self, first_seq: int, count: int, at: Ints) -> Plan:
        """Make the acts of a chunk: one at each place of `at`, and phases for instruments whose time has come."""
        plan, places = Plan(self.phase), [*at.tolist(), count]
        while True:
            number = int(np.argmin(self.due))
            due = max(0, int(self.due[number]) - first_seq)
            if min(due, places[0]) >= count:
                return plan
            place = due if due < places[0] else places.pop(0)
            seq = first_seq + place
            if due <= place:
                # Whatever comes of it, the next step is not before its time.
                self._rest(number, seq)
            while place in plan.acts and place < count:
                place += 1
            if place == count:
                continue
            if due > place:
                plan.acts[place] = self._act(seq)
            elif self.mix.controls and MODES[self.phase[number]] == Mode.NONE and self.rng.random() < 0.5:
                plan.acts[place] = self._lever(self.levers.limits(self.terms, [number]))
            else:
                plan.acts[place] = self._phase_set(number, seq)
            plan.turn(place, self.phase)

    def opening(self, seq: int) -> Act:
        """Open everything, into continuous or into a call."""
        phase = Phase.PRE_OPEN if self.rng.random() < self.mix.p_call_open and self.moves else Phase.CONTINUOUS
        self._enter(list(range(1, len(self.phase))), phase, seq)
        return CommandKind.PHASE_SET, encode({"symbol": "ALL", "phase": word(phase)})

    def _rest(self, number: int, seq: int, phase: Phase | None = None) -> None:
        stay = self.stays[self.phase[number] if phase is None else phase]
        self.due[number] = seq + 1 + int(self.rng.geometric(1 / stay)) if self.moves and number else NEVER

    def _enter(self, numbers: list[int], phase: Phase, seq: int) -> None:
        """Foresee a phase for those whose table lets it follow."""
        for number in numbers:
            if phase in PHASES[Phase(int(self.phase[number]))].next:
                self.phase[number] = phase
                self._rest(number, seq)

    def _act(self, seq: int) -> Act:
        mix, rng = self.mix, self.rng
        if mix.p_lever and self.terms and rng.random() < mix.p_lever:
            return self._lever(self.levers.draw(self.terms, self.phase))
        draw = rng.random()
        if draw < mix.p_define:
            return self._definition(seq)
        if draw < mix.p_define + 0.03:
            return CommandKind.DAY_START, self.spoiled({})
        if draw < mix.p_define + 0.06:
            return CommandKind.DAY_OPEN, self.spoiled({"trading_day": "2026-11-24", "next_trade_id": 1})
        number = int(rng.integers(1, len(self.terms) + 1)) if self.terms else 0
        if rng.random() < mix.p_uncross:
            calls = np.flatnonzero(MODES[self.phase] == Mode.CALL)
            calls = calls[calls > 0]
            if len(calls) and rng.random() < 0.9:
                number = int(rng.choice(calls))
            return CommandKind.AUCTION_UNCROSS, self.spoiled({"symbol": self._symbol(number), **self._words()})
        return self._phase_set(number, seq)

    def _lever(self, lever: Lever) -> Act:
        kind, act = lever
        return kind, self.spoiled({**act, **self._words()})

    def _symbol(self, number: int) -> str:
        return str(self.terms[number - 1].payload["symbol"]) if number else "S1"

    def _words(self) -> dict[str, Any]:
        words: dict[str, Any] = {}
        if self.rng.random() < 0.15:
            words["why"] = 'Điều 12 "tạm ngừng"'
        if self.rng.random() < 0.1:
            words["by"] = "op-1"
        return words

    def _phase_set(self, number: int, seq: int) -> Act:
        """Let an instrument go on to a phase that may follow, mostly; often its group or all go with it."""
        rng = self.rng
        followers = sorted(PHASES[Phase(int(self.phase[number]))].next)
        weights = self.liked[followers]
        if not weights.sum():
            weights = np.ones(len(followers))
        phase = Phase(int(followers[np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right")]))
        if rng.random() < 0.04:
            phase = Phase(int(rng.integers(1, COUNT)))
        volatile = number and self.phase[number] == Phase.VOLATILITY_AUCTION
        if volatile and rng.random() < 0.6:
            phase = Phase.CONTINUOUS
        act: dict[str, Any] = {"phase": word(phase), **self._words()}
        group, draw = self.terms[number - 1].payload.get("group") if number else None, rng.random()
        if draw < (0.05 if volatile else 0.2) or not number:
            act["symbol"] = "ALL"
            numbers = [n for n in range(1, len(self.phase)) if not self.own[n]]
        elif draw < 0.45 and (group or draw < 0.21):
            act["group"] = group or "nobody"
            groups = [terms.payload.get("group") for terms in self.terms]
            numbers = [n for n, other in enumerate(groups, 1) if group and other == group and not self.own[n]]
        else:
            act["symbol"], numbers = self._symbol(number), [number]
            if rng.random() < 0.15:
                act["override"] = int(rng.random() < 0.7)
        if rng.random() < (0.7 if volatile and phase == Phase.CONTINUOUS else 0.02):
            act["auto"] = int(rng.random() < 0.9)
        if rng.random() < 0.1:
            act["draw"] = int(rng.integers(0, 3_600_001))
        ends = phase in (Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED)
        if rng.random() < (0.3 if ends else 0.02):
            act["at_last_match"] = int(rng.random() < 0.8)
        text = self.spoiled(act)
        if text == encode(act):
            self._enter(numbers, phase, seq)
            if "override" in act:
                self.own[numbers] = bool(act["override"])
        return CommandKind.PHASE_SET, text

    def _definition(self, seq: int) -> Act:
        self.extra_names += 1
        if self.rng.random() < 0.5:
            account = f"X{self.extra_names if self.rng.random() < 0.8 else 1}"
            number = int(self.rng.integers(1, 5))
            return CommandKind.ACCOUNT_DEFINE, self.spoiled(
                {"account": account, "member": f"M{number}", "owner": f"B{int(self.rng.integers(1, 5))}"}
            )
        terms = draw_terms(self.rng, f"N{self.extra_names if self.rng.random() < 0.8 else 1}")
        self.pending[seq] = terms
        return CommandKind.INSTRUMENT_DEFINE, self.spoiled(terms.payload)

    def spoiled(self, act: dict[str, Any]) -> bytes:
        """Write an act's payload, now and then with something wrong in it."""
        rng = self.rng
        if rng.random() >= self.mix.p_bad_terms:
            return encode(act)
        act = dict(act)
        names = sorted(act) or ["none"]
        name = names[rng.integers(len(names))]
        way = (0, 1, 2, 2, 2, 3, 4, 5, 6, 6, 7, 7)[rng.integers(12)]
        if way == 0:
            act.pop(name, None)
        elif way == 1:
            act["colour"] = "green"
        elif way == 2:
            act[name] = ODD_VALUES[rng.integers(len(ODD_VALUES))]
        elif way == 3:
            whole = (b"", b"[]", b"null", b"{", b"\xff\xfe", b'"a"', b"{}", b"1", encode(act)[:-1], encode(act) + b"}")
            return whole[rng.integers(len(whole))]
        elif way == 4:
            return b'{"symbol":"NOBODY","phase":"continuous"}'
        elif way == 5:
            # Spacing, order and escapes decide nothing.
            return json.dumps(act, indent=int(rng.integers(0, 3))).encode()
        elif way == 6:
            text = encode(act)
            return text[:-1] + ODD_ENDS[rng.integers(len(ODD_ENDS))]
        elif way == 7:
            # A key that is right somewhere else, or together with others only.
            extra = ("group", "override", "draw", "at_last_match", "symbol", "why")[rng.integers(6)]
            act[extra] = ODD_VALUES[rng.integers(len(ODD_VALUES))] if rng.random() < 0.5 else int(rng.integers(0, 2))
        return encode(act)
