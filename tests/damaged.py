"""What becomes of damaged files: run as a program of its own, so that its memory is its own; prints the outcomes as JSON."""

import json
import random
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

FORBIDDEN = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "webbrowser.open"}
LONGEST = 30  # seconds of processor time for one file, on however busy a machine
PACKED = 2**31  # bytes that a small file may unpack to, below what the largest picture takes


def damages(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """``data`` with one bit turned, of every four once near its head and once near its end; every fourth is cut short instead."""
    draw = random.Random(seed)
    for i in range(count):
        if i % 4 == 3:
            yield data[: draw.randrange(len(data))]
            continue
        near = min(len(data), 2000)
        place = (draw.randrange(near), len(data) - 1 - draw.randrange(near), draw.randrange(len(data)))[i % 4]
        yield data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]


def outcomes(
    path: Path, read: Callable[[Path], object], same: Callable[[object, object], bool], count: int, bounded: bool
) -> dict[str, int]:
    """How often reading a damaged copy of ``path`` was "refused" in one sentence, "equal", "different", or anything else."""
    data, whole, seen = path.read_bytes(), read(path), Counter[str]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for damaged in damages(data, count):
        path.write_bytes(damaged)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        try:
            seen["equal" if same(read(path), whole) else "different"] += 1
        except ValueError as error:
            seen["refused" if path.name in str(error) and len(str(error)) < 2000 else f"refused in other words: {error}"] += 1
        except Exception as error:
            seen[f"{type(error).__name__}: {error}"] += 1
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    path.write_bytes(data)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if grown > (4 * len(data) + 2**24 if bounded else PACKED):
        seen[f"{grown} bytes for a file of {len(data)}"] += 1
    return dict(seen)


def main(kind: str, folder: Path, count: int) -> None:
    """Print {what: outcomes} for the files of ``kind``, see ``damaged_files.KINDS``."""
    import damaged_files

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {LONGEST} s")

    signal.signal(signal.SIGPROF, late)
    watching, events = [True], []
    sys.addaudithook(lambda event, _: events.append(event) if watching and event in FORBIDDEN else None)
    found = {}
    for name, (path, read, same) in damaged_files.KINDS[kind](folder).items():
        found[name] = outcomes(path, read, same, count, bounded=kind not in damaged_files.PACKED)
    watching.clear()
    print(json.dumps({"outcomes": found, "ran": events}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
