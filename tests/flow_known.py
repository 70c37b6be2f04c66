"""The orders that the generated flow remembers, to aim its cancels and amends at: what EVENT rows tell of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.schema import TRADE, EventKind, OrdType

Rows = npt.NDArray[np.void]

# An order as the flow remembers it: whose it is, of what kind, and the client ids it was placed under and bears now.
KNOWN: Final = np.dtype(
    [
        *(("order_id", "<i8"), ("account", "<i4"), ("instrument", "<i4"), ("first", "S32"), ("now", "S32")),
        *(("side", "u1"), ("ord_type", "u1"), ("time_in_force", "u1"), ("display", "<i8")),
    ]
)
ENDED_KEPT: Final = 256
REMEMBERED: Final = 1 << 15


class Known:
    """The live orders by rising order_id, and the last ones that ended."""

    def __init__(self) -> None:
        self.live = np.zeros(0, KNOWN)
        self.ended = np.zeros(0, KNOWN)

    def learn(self, events: Rows) -> None:
        """Follow births, changes and ends."""
        kinds = events["kind"]
        born = events[(kinds == EventKind.ORDER_ACCEPTED) | (kinds == EventKind.ORDER_RESTORED)]
        fresh = np.zeros(len(born), KNOWN)
        for field in ("order_id", "account", "instrument", "side", "ord_type", "time_in_force"):
            fresh[field] = born[field]
        fresh["first"] = fresh["now"] = born["cl_ord_id"]
        fresh["display"] = born["delta_qty"]
        known = np.concatenate([self.live, fresh])
        known = known[np.argsort(known["order_id"], kind="stable")]
        triggered = events[kinds == EventKind.ORDER_TRIGGERED]
        limit = triggered["ord_type"] == OrdType.STOP_LIMIT
        self._change(known, triggered, "ord_type", np.where(limit, OrdType.LIMIT, OrdType.MARKET))
        for kind, field, source in (
            (EventKind.ORDER_AMENDED, "now", "cl_ord_id"),
            (EventKind.ORDER_ACTIVATED, "ord_type", "ord_type"),
        ):
            changed = events[kinds == kind]
            self._change(known, changed, field, changed[source])
        trades = events[kinds == EventKind.TRADE].view(TRADE)
        gone = np.concatenate(
            [
                events["order_id"][(kinds == EventKind.ORDER_CANCELED) | (kinds == EventKind.ORDER_EXPIRED)],
                trades["order_id"][trades["leaves_qty"] == 0],
                trades["resting_order_id"][trades["resting_leaves_qty"] == 0],
            ]
        )
        over = np.isin(known["order_id"], gone)
        self.ended = np.concatenate([self.ended, known[over]])[-ENDED_KEPT:]
        self.live = known[~over][-REMEMBERED:]

    def _change(self, known: Rows, events: Rows, field: str, values: Any) -> None:
        if len(events) and len(known):
            at = np.searchsorted(known["order_id"], events["order_id"]).clip(0, len(known) - 1)
            found = known["order_id"][at] == events["order_id"]
            known[field][at[found]] = values[found]
