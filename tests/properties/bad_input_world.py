"""The venues that bad input is sent to, each with something of every kind to get wrong.

`open`: instrument S1 continuous and controlled, S2 in a call, S3 trading at the close, S4 closed; account 1 has an
order of every kind, account 4 no funds, account 5 and the member of account 6 are stopped, owner B3 is capped, account
7 settles in no currency; there is room for no other instrument or account. `killed` stops everybody, `ids` and `orders`
are full of those, `levels` of far and stop prices. `restating` is opening a day; `fresh` has seen nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.schema import (
    HAS_PRICE,
    HAS_STOP,
    MAX_FAR_LEVELS,
    MAX_STOP_LEVELS,
    POST_ONLY,
    CommandKind,
    Limits,
    OrdType,
    Side,
    TimeInForce,
)
from tests.properties.pair import Rows
from tests.properties.seen import Venue

__all__ = ["LATE", "TERMS", "World", "placing"]

LATE: Final = 1 << 40
FEW: Final = 40
TERMS: Final[dict[str, Any]] = {
    **{"ccy": "USD", "unit": "lb", "contract_size": 1, "tick": "1", "min_price": "1", "max_price": "100000"},
    **{"max_order_qty": 1000, "window_ticks": 16, "reference_price": "1000", "protection_ticks": 20},
}
LIMITS: Final = Limits(instruments=4, accounts=8, orders=64, levels=1 << 16, day_ids=128)
LIMITS_OF: Final = {
    "ids": LIMITS._replace(day_ids=FEW),
    "orders": LIMITS._replace(orders=FEW),
    "levels": LIMITS._replace(orders=1 << 13, day_ids=1 << 13),
}
# The orders of account 1, by their client ids; S1 unless they say otherwise.
ORDERS: Final[dict[str, dict[str, Any]]] = {
    "live": {"price": 980},
    "gtd": {"price": 981, "time_in_force": TimeInForce.GTD, "expire_time": LATE},
    "iceberg": {"price": 982, "display_qty": 2},
    "post_only": {"price": 983, "flags": POST_ONLY},
    "stop": {"ord_type": OrdType.STOP, "stop_price": 1030},
    "stop_limit": {"ord_type": OrdType.STOP_LIMIT, "stop_price": 1031, "price": 1032},
    "aside": {"price": 984, "time_in_force": TimeInForce.AT_CLOSE},
    "suspended": {"price": 500},
    "part": {"price": 995, "order_qty": 9},
    "gone": {"price": 985},
    "unpriced": {"instrument": 2, "ord_type": OrdType.MARKET, "time_in_force": TimeInForce.DAY},
}


def placing(**words: Any) -> dict[str, Any]:
    """The fields of a place: 5 lots of S1 bought at 1000 by account 1, good till canceled."""
    fields = {
        **{"instrument": 1, "account": 1, "side": Side.BUY, "ord_type": OrdType.LIMIT, "price": 1000, "order_qty": 5},
        **{"time_in_force": TimeInForce.GTC, "cl_ord_id": b"new", "client_session": 1, "flags": 0},
        **words,
    }
    if fields["ord_type"] in (OrdType.LIMIT, OrdType.STOP_LIMIT):
        fields["flags"] |= HAS_PRICE
    elif "price" not in words:
        fields["price"] = 0
    if fields["ord_type"] in (OrdType.STOP, OrdType.STOP_LIMIT):
        fields["flags"] |= HAS_STOP
    return fields


class World:
    """One of the venues; `orders` holds the order ids of account 1 by client id."""

    def __init__(self, name: str, *, paired: bool = False) -> None:
        self.restates = name == "restating"
        self.venue = Venue(LIMITS_OF.get(name, LIMITS), paired=paired, seq=1 if name == "fresh" else 20_000)
        self.orders: dict[str, int] = {}
        self.named = 0
        if name == "fresh":
            return
        self.define()
        if self.restates:
            self.restore()
        else:
            self.trade()
        if name == "killed":
            self.venue.must(CommandKind.KILL_SET, exchange=1, on=1)
        if name == "ids":
            self.crowd(FEW - self.named, {"price": 950}, 0)
        if name == "orders":
            self.crowd(FEW - len(self.venue.core.dump()["orders"]), {"price": 950}, 0)
        if name == "levels":
            self.venue.must(CommandKind.PHASE_SET, symbol="S4", phase="pre_open")
            self.crowd(MAX_FAR_LEVELS, {"price": 900, "instrument": 4}, -1)
            stop = {"ord_type": OrdType.STOP, "stop_price": 2000, "instrument": 4}
            self.crowd(MAX_STOP_LEVELS, stop, 1)

    def define(self) -> None:
        must = self.venue.must
        if self.restates:
            must(CommandKind.DAY_OPEN, trading_day="2026-11-23", next_trade_id=1)
        else:
            must(CommandKind.FIXING_SET, date="2026-11-23", ccy="USD", per="USD", rate="100")
        for number in range(1, 5):
            # One instrument and one account less in a restatement, so that one may be defined.
            if number == 4 and self.restates:
                continue
            group = {"group": "G1"} if number < 4 else {}
            tall = {"max_price": "9000000", "min_price": "-9000"} if number == 4 else {}
            must(CommandKind.INSTRUMENT_DEFINE, **{**TERMS, **group, **tall, "symbol": f"S{number}"})
        for number in range(1, 8 if self.restates else 9):
            names = {"account": f"A{number}", "member": f"M{number}", "owner": f"B{number}"}
            must(CommandKind.ACCOUNT_DEFINE, **names, **({"ccy": "USD"} if number != 7 else {}))
        must(CommandKind.CONTROL_SET, group="G1", limit_steps="1000,2000")
        must(CommandKind.LIMIT_SET, group="G1", step=1)
        must(CommandKind.CAP_SET, commodity="G1", owner="B3", lots=100)
        must(CommandKind.KILL_SET, account="A5", on=1)
        must(CommandKind.KILL_SET, member="M6", on=1)

    def trade(self) -> None:
        """Bring the instruments into their phases, with orders."""
        must, named = self.venue.must, self.rest
        must(CommandKind.MARGIN_SET, group="G1", ccy="USD", per_lot=100)
        must(CommandKind.COLLATERAL_SET, account="A4", amount=0)
        must(CommandKind.FEE_SET, symbol="S4", ccy="USD", basis="bps", taker=1, maker=0, auction=0)
        must(CommandKind.PHASE_SET, group="G1", phase="pre_open")
        for instrument in (1, 3):
            named(f"s{instrument}", account=2, instrument=instrument, side=Side.SELL, price=1010, order_qty=10)
            named(f"b{instrument}", account=2, instrument=instrument, price=990, order_qty=10)
            named(f"x{instrument}", account=2, instrument=instrument, side=Side.SELL, order_qty=1)
            named(f"y{instrument}", account=7, instrument=instrument, order_qty=1)
        for name, words in ORDERS.items():
            self.orders[name] = named(name, **words)
        named("z", account=3, order_qty=20, price=979)
        self.cancel("gone")
        must(CommandKind.PHASE_SET, symbol="S1", phase="continuous")
        # A part of one order is filled, over the best bid.
        named("taker", account=2, side=Side.SELL, price=995, order_qty=4)
        must(CommandKind.CONTROL_SET, symbol="S1", max_order_value="500000", band_ticks=50)
        named("c", account=2, instrument=3, side=Side.SELL, time_in_force=TimeInForce.AT_CLOSE)
        named("d", account=7, instrument=3, time_in_force=TimeInForce.AT_CLOSE)
        for phase in ("continuous", "pre_close", "closing_auction", "trade_at_close"):
            must(CommandKind.PHASE_SET, symbol="S3", phase=phase)

    def restore(self) -> None:
        """Bring back what an earlier day has left."""
        self.venue.must(CommandKind.FIXING_SET, date="2026-11-23", ccy="USD", per="USD", rate="100")
        self.venue.must(CommandKind.MARGIN_SET, symbol="S1", ccy="USD", per_lot=10**9)
        self.venue.must(CommandKind.BALANCE_RESTORE, account="A4", balance=10**18, checked=1)
        self.venue.must(CommandKind.POSITION_RESTORE, account="A4", symbol="S1", lots=10**9)
        self.venue.must(CommandKind.POSITION_RESTORE, account="A7", symbol="S1", lots=-(10**9))
        for number, name in enumerate(("live", "stop"), 1):
            fields = placing(**ORDERS[name], cl_ord_id=name.encode(), min_qty=5, target_lo=number)
            events = self.venue.send(CommandKind.ORDER_RESTORE, **fields)
            assert not events["code"].any()
            self.orders[name] = number

    def rest(self, name: str, **words: Any) -> int:
        """Place an order that is accepted; its order_id."""
        fields = placing(**{"cl_ord_id": name.encode(), **words})
        events = self.venue.send(CommandKind.ORDER_PLACE, **fields)
        assert not events["code"].any(), f"{name} is refused: {events['code'][0]}"
        self.named += 1
        return int(events["order_id"][0])

    def cancel(self, name: str) -> None:
        self.venue.send(CommandKind.ORDER_CANCEL, account=1, target_lo=self.orders[name])

    def crowd(self, count: int, words: dict[str, Any], step: int) -> None:
        """Let account 7 place so many orders, each so many ticks from the one before."""
        rows: Rows = np.repeat(self.venue.row(CommandKind.ORDER_PLACE, **placing(account=7, **words)), count)
        rows["seq"] += np.arange(count)
        rows["time"] = rows["seq"]
        rows["price" if "price" in words else "stop_price"] += step * np.arange(count)
        rows["cl_ord_id"] = [f"f{words.get('ord_type', 0)}.{number}".encode() for number in range(count)]
        events = self.venue.run(rows)
        assert not events["code"].any(), f"the crowd is refused: {set(events['code'].tolist())}"
