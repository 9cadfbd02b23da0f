"""Damage to files: what disks, transfers, editors and hostile people do to bytes."""

import random
import struct
from collections.abc import Callable

EXTREMES = (0, 1, -1, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63))
FIELDS = (b"nan", b"inf", b"-1", b"0", b"1e999", b"9" * 30, b"9" * 5000, b"..", b"../x", b"#0")
FIELDS += (
    b"<eps>",
    b"<s>",
    b"|",
    b"mkdir hit |",
    b"/dev/zero:0",
    b"[",
    b"{}",
    b"null",
    b"\xc2\xa0",
)
HEADER = 128


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_in_header(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(min(HEADER, len(data)))] ^= 1 << rng.randrange(8)


def overwrite(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    size = rng.randint(1, 32)
    data[place : place + size] = rng.choice((b"\0", b"\xff", b" ")) * size


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randint(0, len(data))
    data[place:place] = rng.randbytes(rng.randint(1, 16))


def delete(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    del data[place : place + rng.randint(1, 64)]


def duplicate(data: bytearray, rng: random.Random) -> None:
    place, size = rng.randrange(len(data)), rng.randint(1, 256)
    data[place:place] = data[place : place + size]


def move(data: bytearray, rng: random.Random) -> None:
    place, size = rng.randrange(len(data)), rng.randint(1, 256)
    part = data[place : place + size]
    del data[place : place + size]
    place = rng.randint(0, len(data))
    data[place:place] = part


def extreme_integer(data: bytearray, rng: random.Random) -> None:
    limit = min(HEADER, len(data)) if rng.random() < 0.5 else len(data)
    place, value = rng.randrange(limit), rng.choice(EXTREMES)
    size = rng.choice((2, 4, 8))
    data[place : place + size] = struct.pack("<q", (value + 2**63) % 2**64 - 2**63)[:size]


def shuffle_lines(data: bytearray, rng: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    rng.shuffle(lines)
    data[:] = b"\n".join(lines)


def repeat_line(data: bytearray, rng: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
    data[:] = b"\n".join(lines)


def swap_field(data: bytearray, rng: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    number = rng.randrange(len(lines))
    fields = lines[number].split(b" ")
    fields[rng.randrange(len(fields))] = rng.choice(FIELDS)
    lines[number] = b" ".join(fields)
    data[:] = b"\n".join(lines)


def not_text(data: bytearray, rng: random.Random) -> None:
    place = rng.randint(0, len(data))
    kinds = (b"\0", b"\xff", b"\xed\xa0\x80", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\r")
    data[place:place] = rng.choice(kinds)


def huge_line(data: bytearray, rng: random.Random) -> None:
    place = rng.randint(0, len(data))
    data[place:place] = rng.choice((b"x", b" ", b"[", b"7", b"\n", b"a b ")) * (1 << 18)


def replace_all(data: bytearray, rng: random.Random) -> None:
    data[:] = rng.randbytes(rng.choice((0, 1, 64, 4096)))


MUTATORS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip, flip, flip, flip_in_header, flip_in_header, overwrite, truncate, insert, delete,
    duplicate, move, extreme_integer, extreme_integer, shuffle_lines, repeat_line, swap_field,
    swap_field, not_text, huge_line, replace_all,
)  # fmt: skip


def mutated(content: bytes, seed: int) -> bytes:
    """Return content with one to three changes; the same seed gives the same bytes."""
    rng = random.Random(seed)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if data:
            rng.choice(MUTATORS)(data, rng)
    return bytes(data)
