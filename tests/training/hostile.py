"""Files in the place of a checkpoint that do more: each would leave a trace or fill the memory."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch


class Runs:
    """A pickle of this runs a command when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


class Script(torch.nn.Module):
    """As TorchScript, makes a file when it is loaded."""

    def __init__(self, trace: str) -> None:
        super().__init__()
        self.trace = trace

    @torch.jit.export
    def __getstate__(self):
        return (self.trace, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]):
        self.trace = state[0]
        self.training = state[1]
        torch.from_file(self.trace, True, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def torchscript(path: Path, trace: Path) -> None:
    torch.jit.script(Script(str(trace))).save(str(path))
    trace.unlink(missing_ok=True)


def bare_pickle(path: Path, trace: Path) -> None:
    path.write_bytes(pickle.dumps(Runs(trace), 2))


def old_format(path: Path, trace: Path) -> None:
    torch.save(Runs(trace), path, _use_new_zipfile_serialization=False)


def tar(path: Path, trace: Path) -> None:
    content = pickle.dumps(Runs(trace), 2)
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("pickle")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def saved(content: object) -> bytes:
    """What torch.save writes."""
    packed = io.BytesIO()
    torch.save(content, packed)
    return packed.getvalue()


def pickled_command(path: Path, trace: Path) -> None:
    path.write_bytes(saved({"format_version": 1, "metrics": Runs(trace)}))


def prefixed(path: Path, trace: Path) -> None:
    path.write_bytes(pickle.dumps(Runs(trace), 2) + saved({}))


def zipped(path: Path, pickle: bytes, compression: int = zipfile.ZIP_STORED, **more: bytes) -> None:
    """An archive with a pickle, as torch.save packs it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x/data.pkl", pickle)
        archive.writestr("x/version", "3\n")
        for name, content in more.items():
            archive.writestr(f"x/{name.replace('__', '/')}", content)


def two_pickles(path: Path, trace: Path) -> None:
    """Readers differ in which of the two they take."""
    zipped(path, b"\x80\x02}.", data_pkX=pickle.dumps(Runs(trace), 2))
    path.write_bytes(path.read_bytes().replace(b"data_pkX", b"data.pkl"))


def compressed(path: Path, _: Path) -> None:
    zipped(path, b"\x80\x02}.", zipfile.ZIP_DEFLATED)


def bomb(path: Path, _: Path) -> None:
    zipped(path, bytes(200_000_000), zipfile.ZIP_DEFLATED)


def code(path: Path, _: Path) -> None:
    zipped(path, b"\x80\x02}.", code____torch__=b"def forward(self): return 1")


def memo(path: Path, _: Path) -> None:
    zipped(path, b"\x80\x02}r\xff\xff\xff\x7f.")


def laughs(path: Path, _: Path) -> None:
    """Each list holds the one before it twenty times."""
    levels = b"".join(b"](" + b"h%c" % (i - 1) * 20 + b"eq%c" % i for i in range(1, 20))
    zipped(path, b"\x80\x02]q\x00" + levels + b"\x85.")


def within_itself(path: Path, _: Path) -> None:
    zipped(path, b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")


def many_dicts(path: Path, _: Path) -> None:
    zipped(path, b"\x80\x02](" + b"}" * 1_200_000 + b"e.")


def long_integer(path: Path, _: Path) -> None:
    zipped(path, b"\x80\x02\x8b" + struct.pack("<i", 1_000_000) + b"\x7f" * 1_000_000 + b".")


def tensor(path: Path, size: list[int], stride: list[int], offset: int = 0, values: int = 1) -> None:
    """A tensor by its pickle."""
    storage = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK%ctQ" % values
    shapes = b"".join(b"(" + b"".join(b"J" + struct.pack("<i", n) for n in t) + b"t" for t in (size, stride))
    call = b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + b"J" + struct.pack("<i", offset) + shapes
    zipped(path, b"\x80\x02" + call + b"\x89ccollections\nOrderedDict\n)RtR.", data__0=bytes(4))


def beyond(path: Path, _: Path) -> None:
    tensor(path, [2], [1])


def far_offset(path: Path, _: Path) -> None:
    tensor(path, [1], [1], offset=1 << 30)


def negative(path: Path, _: Path) -> None:
    tensor(path, [1], [1], offset=-64)


def repeated(path: Path, _: Path) -> None:
    tensor(path, [1 << 30, 1 << 30], [0, 0])


def more_than_stored(path: Path, _: Path) -> None:
    tensor(path, [200], [1], values=200)


ALL: tuple[Callable[[Path, Path], None], ...] = (
    torchscript, bare_pickle, old_format, tar, pickled_command, prefixed, two_pickles,
    compressed, bomb, code, memo, laughs, within_itself, many_dicts, long_integer, beyond, far_offset, negative,
    repeated, more_than_stored,
)  # fmt: skip
