"""Client order ids of the generated flow: one text for each number, and the keys by which commands name them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.schema import KEY_FACTORS, KEY_FINISH

Ints = npt.NDArray[np.int64]

ID_LETTERS: Final = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._", np.uint8)


def client_ids(numbers: Ints) -> npt.NDArray[np.bytes_]:
    """Write client order ids (S32) for numbers in [0, 2**30), one to one: of 1 letter below 64, else of 5 to 32."""
    text = np.zeros((len(numbers), 32), np.uint8)
    for place in range(5):
        text[:, place] = ID_LETTERS[(numbers >> (6 * place)) & 63]
    text[numbers < 64, 1:] = 0
    # Lengths on both sides of every 8 bytes; which one follows from the number, so that no two ids are equal.
    for turn, length in enumerate((6, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32)):
        text[(numbers >= 64) & (numbers % 31 == turn), 5:length] = ord("-")
    return text.view("S32").ravel()


def client_id_keys(ids: npt.NDArray[np.bytes_]) -> tuple[Ints, Ints]:
    """`engine.schema.cl_ord_id_key` of every id at once: the two halves, int64."""
    words = np.ascontiguousarray(ids).view("<u8").reshape(-1, 4)
    halves = []
    for turn in (0, 1):
        mixed = np.zeros(len(words), np.uint64)
        for place in range(4):
            mixed ^= words[:, place] * np.uint64(KEY_FACTORS[(place + turn) % 4])
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(KEY_FINISH)
        mixed ^= mixed >> np.uint64(29)
        halves.append((mixed >> np.uint64(2)).view(np.int64))
    return halves[0], halves[1] | 1
