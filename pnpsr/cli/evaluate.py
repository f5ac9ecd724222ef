"""``pnpsr evaluate``: methods under a protocol, as tables and figures."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pnpsr.cli.methods import method_from
from pnpsr.cli.protocols import choose_pairs, choose_pictures, choose_protocol
from pnpsr.cli.shares import Share, share_of
from pnpsr.evaluate import Failure, Method, Protocol, Row, Source, prepare, read_rows, table
from pnpsr.evaluate import evaluate as apply
from pnpsr.evaluate.cases import Synthetic
from pnpsr.evaluate.figures import compare
from pnpsr.evaluate.run import Rows, source_of
from pnpsr.files import replace_file
from pnpsr.plot import save_figure

USUAL = "dan-setting1"


def evaluate(
    *,
    images: str | None = None,
    pairs: tuple[str, str] | None = None,
    methods: tuple[str, ...] = ("bicubic", "blind_hqs"),
    protocol: str | None = None,
    kernels: Path | None = None,
    scales: tuple[int, ...] | None = None,
    sigmas: tuple[float, ...] | None = None,
    metrics: tuple[str, ...] | None = None,
    convention: str | None = None,
    physics: str | None = None,
    colour: str | None = None,
    seed: int = 0,
    limit: int | None = None,
    out: Path = Path("evaluation"),
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Measure methods on pictures × kernels × scales × noise: a CSV per method, a table, figures; goes on where it stopped.

    Exit status 1 says that something was left out; it is named on standard error and in the table. Under ``torchrun`` the
    processes share the rows.

    Args:
        images: folder of sharp pictures; for div2krk its folder; or deepinv:NAME:FOLDER for a data set class of deepinv's.
        pairs: in place of images, two folders: observed pictures and the sharp ones of the same names, whose kernel nobody knows.
        methods: bicubic, bicubic_centre, blind_hqs, tv_hqs, kernel_first, deepinv_hqs, a checkpoint, NAME=FILE, NAME=FILE,FILE,
            module:function; with +sigma (knows the noise level), +gaussian or +dirac (assumes that kernel), +kernel_first (kernel
            of blind_hqs), +debiased (a second look at the kernel), +ensemble (restores twice), +DAN (reads kernels that way),
            +direct (no extended border).
        protocol: dan-setting1 (if left out), div2krk, ikrnet, usrnet-table1, every-scale, or one of your own (--use).
        kernels: file with the kernels of all but the first two (.npz, .npy, .mat, .pth).
        scales: only these of the protocol's.
        sigmas: only these of the protocol's, as fractions of white.
        metrics: in place of the protocol's: psnr, ssim, psnr_rgb, psnr_y, ssim_rgb, ssim_y, lpips, kernel_mse, kernel_mse_aligned,
            kernel_psnr, kernel_psnr_aligned, kernel_l1, data_psnr, or your own (--use).
        convention: in place of the protocol's, by name: PNPSR, DAN, DAN_PAPER, IKRNET, ...
        physics: what makes y in place of a convention, by name, and what the solvers invert: a convention's or one of your own
            (--use), a mosaic or a mask for example.
        colour: in place of the protocol's: rgb, y, y_full.
        seed: of the noise.
        limit: only the first pictures.
        out: folder for the results; made if it does not exist. One protocol per folder; several processes may share it.
        device: cpu, cuda, cuda:1, mps.
        threads: rows solved at a time, on the CPU.
    """
    if (images is None) == (pairs is None):
        raise ValueError("name a folder of sharp pictures, --images FOLDER, or --pairs OBSERVED SHARP, and not both")
    share = share_of(device)
    device = share.device
    pictures: Rows
    if pairs is None:
        chosen = choose_protocol(protocol or USUAL, kernels, scales, sigmas, metrics, convention, physics, colour, seed)
        pictures = choose_pictures(str(images), chosen, limit)
    else:
        made: dict[str, object] = {
            "protocol": protocol,
            "kernels": kernels,
            "sigmas": sigmas,
            "convention": convention,
            "physics": physics,
        }
        made |= {"seed": seed or None}
        chosen, pictures = choose_pairs(
            pairs, scales, metrics, colour, limit, [n for n, value in made.items() if value is not None]
        )
    circular = chosen.periodic
    some = [method_from(word, circular=circular, device=device) for word in methods]
    source = source_of(chosen, pictures)
    for method in some:
        prepare(method, chosen, source, out)
    if share.first:
        print(chosen)
    failures, said = dict[str, Sequence[Failure]](), list[str]()
    for method in some:
        failures[method.name], notes = _shared(share, method, chosen, source, out, device, threads)
        said += notes
    remarks = share.last(source.remarks if isinstance(source, Synthetic) else {})
    if not share.first:
        return
    rows = _all_rows(out, chosen, source, [method.name for method in some])
    lines = _left_out(failures, _remarks(source, out, {name: told for part in remarks for name, told in part.items()}))
    if not rows:
        raise ValueError(f"nothing could be evaluated: {'; '.join(lines[:3])}")
    shown = table(rows, chosen, detail=chosen.columns[0])
    needs = [f"{method.name} was told {' and '.join(method.needs)}." for method in some if method.needs]
    text = "\n\n".join(part for part in (shown.rstrip(), *needs, "\n".join(f"* {line}" for line in lines)) if part) + "\n"
    replace_file(out / "table.md", text.encode())
    written = [out / "table.md", *_figures(rows, chosen, out)]
    print(text, "\nwrote    ", *written, sep=" ")
    for line in (*lines, *said):
        print("pnpsr:", line, file=sys.stderr)
    if any(failures.values()):
        sys.exit(1)


def _shared(
    share: Share, method: Method, protocol: Protocol, source: Source, out: Path, device: str, threads: int
) -> tuple[Sequence[Failure], Sequence[str]]:
    """This process's part of the rows, all merged by the first one; what all could not do, in the order of the rows, and notes.

    Rows of a method without a description are those of one process: another could not tell whether they still count.
    """
    alone = not method.digest[0]
    part = (0, 1) if alone else (share.place, share.count)
    if alone and not share.first:
        share.wait()
        share.gathered(())
        return (), ()
    done = apply(method, protocol, source, out, device=device, threads=threads, share=part, progress=share.first, ready=share.wait)
    failed = [failure for some in share.gathered(tuple(done.failures)) for failure in some]
    places = {key: place for place, key in enumerate(source.keys())}
    return sorted(failed, key=lambda failure: places[failure.key]), done.notes


def _all_rows(folder: Path, protocol: Protocol, source: Source, first: Sequence[str]) -> list[Row]:
    """Rows of all methods that were ever measured in this folder on these pictures, those of this call first."""
    others = sorted(path.stem for path in folder.glob("*.csv") if path.stem not in first)
    label, keys = f"{protocol.name}@{protocol.digest}", set(source.keys())
    rows = [row for name in (*first, *others) for row in read_rows(folder / f"{name}.csv")]
    return [row for row in rows if row.protocol == label and row.key in keys and row.pixels == source.pixels(row.key)]


def _remarks(source: Source, folder: Path, told: dict[str, str]) -> dict[str, str]:
    """What is unusual about pictures, by name; of those that were not read in this call, what was found when they were."""
    if not isinstance(source, Synthetic):
        return {}
    file, now = folder / "pictures.json", {key.image: source.pixels(key) for key in source.keys()}
    known: dict[str, list[str]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known |= {name: [now[name], told[name]] for name in now if name in told}
    replace_file(file, (json.dumps(known, indent=1, ensure_ascii=False) + "\n").encode())
    return {name: known[name][1] for name in now if name in known and known[name][0] == now[name] and known[name][1]}


def _left_out(failures: dict[str, Sequence[Failure]], notes: dict[str, str]) -> list[str]:
    """One line per picture and reason."""
    counts: dict[tuple[str, str], int] = {}
    for some in failures.values():
        for failure in some:
            counts[failure.key.image, failure.reason] = counts.get((failure.key.image, failure.reason), 0) + 1
    left_out = [f"left out {image}, {count} row(s): {reason}" for (image, reason), count in counts.items()]
    return left_out + [f"note on {image}: {note}" for image, note in notes.items()]


def _figures(rows: Sequence[Row], protocol: Protocol, out: Path) -> list[Path]:
    """One figure per metric that has values."""
    written = []
    for metric in protocol.columns:
        if any(row.values.get(metric) is not None for row in rows):
            save_figure(compare(rows, metric), out / f"{metric}.png")
            written.append(out / f"{metric}.png")
    return written
