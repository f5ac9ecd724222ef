"""Files of released weights: wrappers are opened, nothing but tensors is unpickled, and what is unknown is told what was found."""

import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from by_formula import invented
from dan_by_formula import dan_buffers, dan_shapes
from torch import Tensor
from usrnet_by_formula import ikrnet_shapes, usrnet_shapes

from pnpsr import load_released, usrnet
from pnpsr.released.load import LAYOUTS

WIDTHS = (4, 6, 8, 10)


def usr() -> dict[str, Tensor]:
    return invented(usrnet_shapes(WIDTHS, 3, 5))


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "a.pth")
    return folder / "a.pth"


def test_wrappers_are_opened(tmp_path: Path) -> None:
    plain, w = load_released(saved(usr(), tmp_path)), usr()
    several = {f"module.{name}": value for name, value in w.items()}
    other = {name: value + 1 for name, value in w.items()}
    for content in (
        OrderedDict(w),
        several,
        {"state_dict": w},
        {"state_dict": several, "epoch": 3, "optimizer": {"lr": 1e-4}},
        {"params": w},
        {"params": other, "params_ema": w},  # the averaged weights are the ones to test with
        {"model": {"state_dict": several}},
        {re.sub(r"^(.)\.", r"\1.module.", name): value for name, value in w.items()},
    ):
        net = load_released(saved(content, tmp_path))
        assert net.record == plain.record
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), plain.parameters(), strict=True))


def test_single_and_half_precision_become_single(tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.float16):
        net = load_released(saved({name: value.to(dtype) for name, value in usr().items()}, tmp_path))
        assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_every_family_is_told_from_every_other() -> None:
    files = {
        "DANv1": dan_shapes(1, 2, width=32, groups=0, blocks=4, size=5, code=4),
        "DANv2": dan_shapes(2, 2, width=32, groups=1, blocks=1, size=5, code=4),
        "USRNet": usrnet_shapes(WIDTHS, 3, 5),
        "IKR-Net": ikrnet_shapes(WIDTHS, 5),
    }
    assert {layout.network for layout in LAYOUTS} == set(files)
    for network, shapes in files.items():
        weights = invented(shapes) | (dan_buffers(5, 4) if network.startswith("DAN") else {})
        fits = [layout.network for layout in LAYOUTS if layout.fits(weights)]
        assert fits[0] == network and (len(fits) == 1 or network == "IKR-Net")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    for missing in (path, tmp_path):
        with pytest.raises(FileNotFoundError, match="no checkpoint at"):
            load_released(missing)
    whole = saved(usr(), tmp_path).read_bytes()
    cut = [whole[: n * len(whole) // 100] for n in (1, 10, 50, 90, 99)]
    for content in (b"", b"text, not a checkpoint", *cut, b"\x80\x02" + bytes(50)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.pth is truncated or no checkpoint of tensors"):
            load_released(path)


def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint of tensors"):
        load_released(saved({"weights": Path("/")}, tmp_path))
    for value in ([1, 2], {"weights": usr()}, torch.zeros(3), {1: torch.zeros(3)}, {"state_dict": [1]}, {"epoch": 3}):
        with pytest.raises(ValueError, match="must hold a dictionary of tensors, bare or under params_ema"):
            load_released(saved(value, tmp_path))


def test_other_networks_are_refused_with_what_was_found(tmp_path: Path) -> None:
    ours = usrnet(T=2, widths=WIDTHS).state_dict()  # our names, which are not theirs
    expected = "holds no network that is known. Expected DANv2 .*USRNet .p.m_head.weight.*; found 42 tensors: restorer.prior"
    with pytest.raises(ValueError, match=expected):
        load_released(saved(ours, tmp_path))
    with pytest.raises(ValueError, match="found 0 tensors"):
        load_released(saved({}, tmp_path))
    w = usr()
    for change in (
        {"p.m_body.0.res.0.weight": torch.zeros(3, 3, 3, 3)},
        {"p.m_extra.weight": torch.zeros(1)},
        {"h.mlp.4.bias": torch.zeros(2)},
        {"p.m_head.weight": torch.zeros(())},
    ):
        with pytest.raises(ValueError, match="variant of USRNet that is not known"):
            load_released(saved(w | change, tmp_path))
    with pytest.raises(ValueError, match="variant of USRNet that is not known"):
        load_released(saved({name: v for name, v in w.items() if "m_body.1" not in name}, tmp_path))
    with pytest.raises(ValueError, match="variant of USRNet that is not known: 'p.m_down2.2.weight'"):
        load_released(saved({name: v for name, v in w.items() if "m_down2.2" not in name}, tmp_path))
