"""Every way in which lots come to stand open or to trade, against every gate: what must happen (data, and its reader).

Sections say kind of way, where (phase) and, behind the colon, the events if no gate fails (indicatives left out). A
cell says what happens in a world in which its gate, and no other, would fail:

    x     refused with the gate's code, and nothing changes
    x59   refused by rule 59 instead, with which whatever fails here is at odds too
    S     accepted, but suspended; a suspended order stays so (R67)
    Cf Cl Cm Cp   canceled: reason fok, levels_full, min_qty, price_limit
    P     pulled: the volatility trigger starts a call (R69)
    V     prevented: the order does not trade with one of the same owner (R27)
    12    not asked, as rule 12 says: the events are those of the section
    !12   there is no such world, as rule 12 says
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ROWS", "Row", "read"]


class Row(NamedTuple):
    """A line of the table."""

    way: str  # place, amend, restore, or what brings an order back in
    where: str
    what: str
    cells: dict[str, str]  # by gate
    events: str

    @property
    def name(self) -> str:
        return f"{self.way} {self.where} {self.what}"


TABLE: Final = """
place continuous: accepted trade
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit day                     x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x   x  15   P   V
market day                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15   P   V
limit gtc                     x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15   P   V
market gtc                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15   P   V
limit gtd                     x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15   P   V
market gtd                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15   P   V
limit ioc                     x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x  15  15   P   V
market ioc                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15   P   V
limit fok                     x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x  15  15  Cf   V
market fok                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15  Cf   V
limit day iceberg             x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x   x  15   P   V
limit gtc min_qty             x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x   x  15  Cm   V
limit ioc min_qty             x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x  15  15  Cm   V
market day min_qty            x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15  Cm   V

place continuous: accepted
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit at_close                x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x  15  15  58  58
market at_close               x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15  58  58
stop day                      x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15   x  60  60
stop gtc                      x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15   x  60  60
stop gtd                      x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15   x  60  60
stop_limit day                x   6   x   x   x   x   x   x   x   x   x   x   x  59  13   x   x   x   x  15   x  60  60
stop_limit gtc                x   6   x   x   x   x   x   x   x   x  67   x   x  59  13   x   x   x   x  15   x  60  60
stop_limit gtd                x   6   x   x   x   x   x   x   x   x  67   x   x  59  13   x   x   x   x  15   x  60  60
limit gtc suspended           x   6   x   x   x   x   x   x   x  12   S  67   x  59  13   x   x   x   x  67  15  67  67
limit gtd post_only           x   6   x   x   x   x   x   x   x  12   S   x   x  59   x   x   x   x   x   x  15 !13 !13

place continuous: accepted trade activated
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
market_to_limit day           x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  Cl  15   P   V
market_to_limit gtc           x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  Cl  15   P   V
market_to_limit gtd           x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  Cl  15   P   V
market_to_limit day min_qty   x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  Cl  15  Cm   V

place continuous: accepted triggered trade canceled
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
stop day reached              x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15  15   P   V
stop gtc reached              x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15  15   P   V

place continuous: accepted triggered trade
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
stop_limit day reached        x   6   x   x   x   x   x   x   x   x   x   x   x  59  13   x   x   x   x  Cl  15   P   V
stop_limit gtc reached        x   6   x   x   x   x   x   x   x   x  Cp   x   x  59  13   x   x   x   x  Cl  15   P   V

place call: accepted
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit day                     x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x   x  15  69  55
market day                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55
limit gtc                     x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15  69  55
market gtc                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55
limit gtd                     x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15  69  55
market gtd                    x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55
limit at_open                 x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x   x  15  69  55
market at_open                x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55
limit at_close                x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x  15  15  58  58
market at_close               x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x  15  15  58  58
market_to_limit day           x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55
market_to_limit gtc           x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55
market_to_limit gtd           x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55
stop day                      x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15   x  60  60
stop gtc                      x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15   x  60  60
stop gtd                      x   6   x   x   x   x   x   x  12   x  67  68   x  59  13   x   x   x   x  15   x  60  60
stop_limit day                x   6   x   x   x   x   x   x   x   x   x   x   x  59  13   x   x   x   x  15   x  60  60
stop_limit gtc                x   6   x   x   x   x   x   x   x   x  67   x   x  59  13   x   x   x   x  15   x  60  60
stop_limit gtd                x   6   x   x   x   x   x   x   x   x  67   x   x  59  13   x   x   x   x  15   x  60  60
limit gtc iceberg             x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15  69  55
limit gtd suspended           x   6   x   x   x   x   x   x   x  12   S  67   x  59  13   x   x   x   x  67  15  67  67
limit day post_only           x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x   x  15  69  55

place closing: accepted
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit at_close                x   6   x   x   x   x   x   x   x  12   x   x   x  59  13   x   x   x   x   x  15  69  55
market at_close               x   6   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x   x   x  15  69  55

place none: accepted
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit gtc                     x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15  69   9
limit gtd                     x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15  69   9
limit gtc iceberg             x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15  69   9
limit gtc suspended           x   6   x   x   x   x   x   x   x  12   S  67   x  59  13   x   x   x   x  67  15  67  67
limit gtc post_only           x   6   x   x   x   x   x   x   x  12   S   x   x  59  13   x   x   x   x   x  15  69   9

place at_close: accepted trade
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit day                     x   6   x   x   x   x   x   x   x  12   x   x   x   x  13   x   x   x   x !59  15  69   V
limit gtc                     x   6   x   x   x   x   x   x   x  12 x59   x   x   x  13   x   x   x   x !59  15  69   V
limit gtd                     x   6   x   x   x   x   x   x   x  12 x59   x   x   x  13   x   x   x   x !59  15  69   V
limit day iceberg             x   6   x   x   x   x   x   x   x  12   x   x   x   x  13   x   x   x   x !59  15  69   V

place at_close: accepted
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit gtc post_only           x   6   x   x   x   x   x   x   x  12 x59   x   x   x   x   x   x   x   x !59  15  69 !13

amend continuous: amended
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit qty                     x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69  31
iceberg qty                   x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69  31
post_only price               x   x   x   x   x   x  10   x   x  12   x   x   x  59   x  76   x   x  15   x  15 !13 !13
stop qty                      x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  60  60
stop stop_price               x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x  60  60
stop_limit qty                x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  60  60
stop_limit price              x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15  15  15  60  60
stop_limit stop_price         x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x  60  60
aside qty                     x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  58  58
aside price                   x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15  15  15  58  58
aside_market qty              x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  58  58
suspended qty                 x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  67  67

amend continuous: amended trade
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit price                   x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15   P   V
iceberg price                 x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15   P   V
suspended price               x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15   P   V

amend continuous: amended triggered trade
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
stop reached                  x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x   P   V
stop_limit reached            x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x   P   V

amend call: amended
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit qty                     x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69  55
limit price                   x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69  55
iceberg qty                   x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69  55
iceberg price                 x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69  55
post_only price               x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69  55
stop qty                      x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  60  60
stop stop_price               x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x  60  60
stop_limit qty                x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  60  60
stop_limit price              x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15  15  15  60  60
stop_limit stop_price         x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x  60  60
aside qty                     x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  58  58
aside price                   x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15  15  15  58  58
aside_market qty              x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  58  58
suspended qty                 x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  67  67
suspended price               x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69  55
market qty                    x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69  55
market_to_limit qty           x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69  55

amend none: amended
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit qty                     x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69   9
limit price                   x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69   9
iceberg qty                   x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  69   9
iceberg price                 x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69   9
post_only price               x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69   9
stop qty                      x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  60  60
stop stop_price               x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x  60  60
stop_limit qty                x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  60  60
stop_limit price              x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15  15  15  60  60
stop_limit stop_price         x   x   x   x   x   x  10   x  12   x  67  68   x  59  13  76   x   x  15  15   x  60  60
suspended qty                 x   x   x   x   x   x   x  11  12  12  67  68   x  59  13   x   x   x  15  15  15  67  67
suspended price               x   x   x   x   x   x  10   x   x  12   x   x   x  59  13  76   x   x  15   x  15  69   9

restore restating: restored
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit                         x   6  45  45  45  45  45  45   x  45   S  45  45  45  45  45  45   x   x   x  15  45  45
iceberg                       x   6  45  45  45  45  45  45   x  45   S  45  45  45  45  45  45   x   x   x  15  45  45
post_only                     x   6  45  45  45  45  45  45   x  45   S  45  45  45  45  45  45   x   x   x  15  45  45
stop                          x   6  45  45  45  45  45  45  45   x  45  45  45  45  45  45  45   x   x  15   x  45  45
stop_limit                    x   6  45  45  45  45  45  45   x   x  45  45  45  45  45  45  45   x   x  15   x  45  45
suspended                     x   6  45  45  45  45  45  45   x  45   S  45  45  45  45  45  45   x   x  67  15  45  45

elect opening: phase_changed uncrossed trade triggered trade canceled
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
stop                        !60 !60  60  60  60 !60 !60 !60 !60 !60  60  60  60 !60 !60  60  60  60  60  60  60   P   V

elect opening: phase_changed uncrossed trade triggered trade
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
stop_limit                  !60 !60  60  60  60 !60 !60 !60 !60 !60  Cp  60  60 !60 !60  60  60  60  60  Cl  60   P   V

elect trading: accepted trade triggered trade canceled
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
stop                        !60 !60  60  60 !77 !60 !60 !60 !60 !60  60  60  60 !60 !60  60  60 !15 !15  60  60 !69   V

elect trading: accepted trade triggered trade
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
stop_limit                  !60 !60  60  60 !77 !60 !60 !60 !60 !60  Cp  60  60 !60 !60  60  60 !15 !15  Cl  60 !69   V

join closing: phase_changed activated
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit                       !58 !58  58  58  58 !58 !58 !58 !58 !58  Cp  58  58 !58 !58  58  58  58  58  Cl  58  69  55
market                      !58 !58  58  58  58 !58 !58 !58 !58 !58  58  58  58 !58 !58  58  58  58  58  Cl  58  69  55

return none: limits_set activated
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
limit                       !67 !67  67  67  67 !67 !67 !67 !67 !67   S  67  67 !67  67  67  67  67  67  Cl  67  69   9

uncross opening: phase_changed uncrossed trade trade activated
                            acc own kil kme kex pha max tik bnd sbd lim mov val cls pst cap mrg ids ord far stp vol smp
market_to_limit             !56 !56  56  56  56 !56 !56 !56 !56 !56  51  56  56 !56 !56  56  56  56  56  Cl  56  69  55
"""


def read(table: str) -> list[Row]:
    """The lines of a table; ValueError if one has too many cells or too few."""
    rows = []
    for section in table.strip().split("\n\n"):
        title, head, *lines = section.splitlines()
        heading, events = title.split(": ")
        gates, (way, where) = head.split(), heading.split()
        for line in lines:
            words = line.split()
            what, cells = words[: -len(gates)], words[-len(gates) :]
            rows.append(Row(way, where, " ".join(what), dict(zip(gates, cells, strict=True)), events))
    return rows


ROWS: Final = read(TABLE)
