"""A protocol says everything, and says it differently when anything differs."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from small import protocol

from pnpsr.conventions import DAN, IKRNET, KERNELGAN, PNPSR
from pnpsr.evaluate import Protocol, grid, named_protocol
from pnpsr.kernels import gaussian8, load_kernels
from pnpsr.kernels.grid import unit

CHANGES = {
    "name": "other",
    "conditions": grid((2,)),
    "kernels": "gaussian8",
    "convention": replace(PNPSR, offset=1),
    "round_y": True,
    "round_x": True,
    "colour": "y",
    "border": "scale²",
    "multiple": 4,
    "seed": 1,
    "metrics": ("psnr",),
    "physics": "DAN",
}


def test_every_field_is_part_of_the_digest() -> None:
    assert set(CHANGES) == {field.name for field in fields(Protocol)}
    digests = {protocol().digest} | {replace(protocol(), **{name: value}).digest for name, value in CHANGES.items()}
    assert len(digests) == len(CHANGES) + 1
    assert protocol().digest == protocol().digest


def test_kernels_count_by_their_values() -> None:
    k = protocol().kernels_at(2)
    assert protocol(kernels=k.clone()).digest == protocol().digest
    moved = k.clone()
    moved[0, 0, 0, 0] += 1e-6
    assert protocol(kernels=moved).digest != protocol().digest


def test_one_line_says_what_was_measured() -> None:
    line = str(protocol(round_x=True, colour="y", border="scale²", seed=7))
    for part in ("small@", "×2 σ 0,", "×3 σ 0.02", "2 kernels", "PNPSR", "x rounded to 8 bits", "on y", "border scale²", "seed 7"):
        assert part in line, part


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"conditions": ()}, ValueError, "conditions"),
        ({"conditions": ((2, 0.0), (2, 0.0))}, ValueError, "different pairs"),
        ({"conditions": ((2.5, 0.0),)}, TypeError, "scale of a condition"),
        ({"conditions": ((2, -0.1),)}, ValueError, "sigma of a condition"),
        ({"kernels": "gaussian9"}, ValueError, "kernels must be one of"),
        ({"kernels": torch.zeros(3, 3)}, ValueError, "kernels"),
        ({"convention": "PNPSR"}, TypeError, "Convention"),
        ({"convention": replace(PNPSR, boundary="valid")}, ValueError, "valid"),
        ({"colour": "ycbcr"}, ValueError, "colour"),
        ({"border": "scale³"}, ValueError, "border"),
        ({"border": -1}, ValueError, "border"),
        ({"multiple": 0}, ValueError, "multiple"),
        ({"metrics": ("psnr", "beauty")}, ValueError, "metric must be one of"),
        ({"metrics": ()}, ValueError, "metrics"),
        ({"seed": -1}, ValueError, "seed"),
    ],
)
def test_what_means_nothing_is_refused(change: dict, error: type, reason: str) -> None:
    with pytest.raises(error, match=reason):
        protocol(**change)


def test_border_rules() -> None:
    assert [protocol(border=rule).border_at(4) for rule in ("scale", "scale²", 0, 7)] == [4, 16, 0, 7]


def test_named_protocols_are_those_of_the_papers() -> None:
    dan = named_protocol("dan-setting1")
    assert (dan.scales, dan.convention, dan.colour, dan.border_at(3), dan.round_y, dan.round_x) == (
        (2, 3, 4),
        DAN,
        "y",
        3,
        True,
        True,
    )
    assert all(torch.equal(dan.kernels_at(s), gaussian8(s)) for s in (2, 3, 4))
    assert (named_protocol("div2krk").scales, named_protocol("div2krk").convention) == ((2, 4), KERNELGAN)
    k = unit(torch.rand(12, 1, 21, 21))
    ikr = named_protocol("ikrnet", k)
    assert set(ikr.conditions) == {(s, sigma) for s in (2, 4) for sigma in (0.0, 0.02, 0.03)}
    assert (ikr.convention, ikr.colour, ikr.border_at(4), ikr.round_x, ikr.round_y) == (IKRNET, "rgb", 16, False, False)
    usr = named_protocol("usrnet-table1", k)
    assert usr.conditions == ((2, 0.0), (3, 0.0), (3, 0.01), (3, 0.03), (4, 0.0)) and usr.convention.quantised == "truncate"
    every = named_protocol("every-scale", k)
    assert every.scales == (1, 2, 3, 4) and len(every.conditions) == 16 and every.convention == PNPSR and every.kernels_at(3) is k
    for name, kernels in (("ikrnet", None), ("dan-setting1", k), ("magic", None)):
        with pytest.raises(ValueError, match="kernels|protocol must be one of"):
            named_protocol(name, kernels)


def test_published_kernel_files_fit(data: Path) -> None:
    for name, file, p in (("ikrnet", "ikrnet12.npz", 21), ("usrnet-table1", "usrnet12.npz", 25)):
        assert named_protocol(name, load_kernels(data / "kernels" / file)).kernels_at(3).shape == (12, 1, p, p)
