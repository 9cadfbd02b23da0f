"""Speech and phonemes from the espeak-ng library, called through ctypes.

The synthesiser keeps state from one utterance to the next (its random numbers, the phase of its
oscillators), so the same sentence twice gives different samples. `Synthesiser` therefore runs a
small process that loads the library once and makes every utterance in a fork of its own: the
samples depend on the request alone, whatever was spoken before.
"""

import ctypes
import itertools
import json
import os
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

RATE = 22050
_SYNCHRONOUS = 2
_UTF8 = 1
_DONT_EXIT = 0x8000
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4}
_VOLUME = 25  # of 100; louder, some voices clip inside the synthesiser
_VOICES = {"en-gb": "gmw/en"}  # accents that the library knows by another name
_PHONEMES_BY_UNDERSCORE = ord("_") << 8
_PHONEME_EVENTS = 1
_NO_MORE_EVENTS, _PHONEME = 0, 7


class _Event(ctypes.Structure):
    """espeak_EVENT; the name of a phoneme stands in its last eight bytes."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Request:
    """One utterance to be spoken.

    Attributes
    ----------
    text : str
        What is said.
    voice : str
        espeak-ng voice, such as ``en-us+f2``.
    rate : int
        Words per minute.
    pitch, range : int
        0 to 99, 50 is the voice's own.
    seed : int
        Of the synthesiser's noise.
    """

    text: str
    voice: str
    rate: int = 175
    pitch: int = 50
    range: int = 50
    seed: int = 1


class _Library:
    """The shared library, loaded and initialised; it changes the process's folder."""

    def __init__(self):
        try:
            import espeakng_loader
        except ImportError:
            raise RuntimeError(
                "the package espeakng-loader is absent; install it (pip install espeakng-loader)"
            ) from None
        self.lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self.lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        # The library keeps paths in 160 bytes, so it gets a relative one.
        data = Path(espeakng_loader.get_data_path())
        os.chdir(data.parent)
        self.data = Path(data.name)
        rate = self.lib.espeak_Initialize(
            _SYNCHRONOUS, 0, data.name.encode(), _DONT_EXIT | _PHONEME_EVENTS
        )
        if rate != RATE:
            raise RuntimeError(f"espeak-ng: initialisation gave {rate}, expected {RATE} Hz")
        self.samples: list[bytes] = []
        self.events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._receive)
        self.lib.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave, count, events) -> int:
        if wave and count > 0:
            self.samples.append(ctypes.string_at(wave, 2 * count))
        for event in itertools.takewhile(lambda e: e.type != _NO_MORE_EVENTS, _every(events)):
            if event.type == _PHONEME:
                self.events.append((event.sample, event.name.decode()))
        return 0

    def voice(self, name: str) -> None:
        accent, plus, variant = name.partition("+")
        if plus and not (self.data / "voices" / "!v" / variant).is_file():
            raise RuntimeError(f"espeak-ng: no variant {variant!r} of voices")
        known = _VOICES.get(accent, accent) + plus + variant
        if self.lib.espeak_SetVoiceByName(known.encode()):
            raise RuntimeError(f"espeak-ng: no voice {name!r}")

    def speak(self, request: dict) -> bytes:
        self.samples.clear()
        self.lib.espeak_ng_SetRandSeed(ctypes.c_long(request["seed"] % (2**31 - 1)))
        self.voice(request["voice"])
        for name, number in _PARAMETERS.items():
            value = _VOLUME if name == "volume" else request[name]
            self.lib.espeak_SetParameter(number, int(value), 0)
        text = request["text"].encode()
        if self.lib.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None):
            raise RuntimeError(f"espeak-ng: cannot speak {request['text']!r}")
        return b"".join(self.samples)

    def times(self, request: dict) -> bytes:
        self.events.clear()
        self.speak(request)
        return json.dumps(self.events).encode()

    def phonemes(self, text: str) -> str:
        pointer = ctypes.c_char_p(text.encode())
        parts = []
        while pointer.value is not None:
            part = self.lib.espeak_TextToPhonemes(
                ctypes.byref(pointer), _UTF8, _PHONEMES_BY_UNDERSCORE
            )
            parts.append(part.decode())
        return " ".join(parts)


def _every(pointer):
    """Yield what stands at a pointer, and after it, without end."""
    return (pointer[i] for i in itertools.count())


def _in_fork(function, *arguments) -> bytes:
    """Return the bytes that a function gives in a child process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(function(*arguments))
            code = 0
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError("espeak-ng: the synthesis failed")
    return data


def _serve() -> None:
    """Answer one JSON request per line of standard input with length-prefixed bytes."""
    library = _Library()
    # sys.stdout.buffer may be unbuffered (PYTHONUNBUFFERED) and then stops short at a signal
    output = open(sys.stdout.fileno(), "wb", closefd=False)
    for line in sys.stdin:
        request = json.loads(line)
        if "sentences" in request:
            library.voice(request["voice"])
            answer = json.dumps([library.phonemes(s) for s in request["sentences"]]).encode()
        else:
            function = library.times if request.pop("times", False) else library.speak
            answer = _in_fork(function, request)
        output.write(struct.pack("<Q", len(answer)) + answer)
        output.flush()


class Synthesiser:
    """A process that speaks; use it in a ``with`` block."""

    def __init__(self):
        package = Path(__file__).resolve().parents[2]
        path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "darkknowledge.corpora.espeak"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _ask(self, request: dict) -> bytes:
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        header = self._process.stdout.read(8)
        if len(header) < 8:
            raise RuntimeError(
                "espeak-ng ended without an answer; its message stands above this one"
            )
        (length,) = struct.unpack("<Q", header)
        return self._process.stdout.read(length)

    def speak(self, request: Request) -> bytes:
        """Return an utterance as 16-bit mono samples at 22050 Hz.

        The same request gives the same samples, whatever was spoken before.
        """
        return self._ask(asdict(request))

    def phoneme_times(self, request: Request) -> list[tuple[int, str]]:
        """Return where each phoneme of an utterance begins.

        Returns
        -------
        list of (sample, name)
            In samples at 22050 Hz and espeak-ng's own names; pauses begin with ``_``.
        """
        return [tuple(event) for event in json.loads(self._ask({**asdict(request), "times": True}))]

    def phonemes(self, voice: str, sentences: list[str]) -> list[str]:
        """Return the phonemes of each sentence in espeak-ng's own names.

        Phonemes are separated by ``_``, words by spaces; espeak-ng may join words (``of the``).
        """
        return json.loads(self._ask({"voice": voice, "sentences": sentences}))


if __name__ == "__main__":
    _serve()
