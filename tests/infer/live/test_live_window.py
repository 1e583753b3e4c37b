"""The label is drawn on the picture; without a window there is one clear line."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from s3d.errors import InputError
from s3d.infer.live.window import Window, draw_label


@pytest.mark.parametrize("size", [(240, 320), (48, 64), (8, 6), (1080, 1920)])
@pytest.mark.parametrize("text", ["wave 93%", "", "a\nb\x1b", "W" * 500, "手を振る"])
def test_a_label_is_drawn_at_the_foot(size: tuple[int, int], text: str) -> None:
    picture = np.full((*size, 3), 100, np.uint8)
    drawn = draw_label(picture, text)
    assert (drawn.shape, drawn.dtype) == (picture.shape, np.uint8)
    assert (picture == 100).all()
    if size[0] > 40:
        assert (drawn[: size[0] // 2] == 100).all()
        assert drawn[-1, 0, 0] == 35
        assert (drawn.max() > 200) == bool(text)


def test_other_labels_look_different() -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    assert (draw_label(picture, "wave") != draw_label(picture, "walk")).any()
    assert (draw_label(picture, "wave") == draw_label(picture, "wave")).all()


class FakeScreen(SimpleNamespace):
    """Stand for cv2 with windows."""

    WINDOW_NORMAL = 0

    def __init__(self, keys: list[int]) -> None:
        super().__init__()
        self.keys, self.shown, self.is_open = keys, [], False  # type: ignore[var-annotated]

    def namedWindow(self, title: str, kind: int) -> None:  # noqa: N802
        self.is_open = True

    def imshow(self, title: str, picture: np.ndarray) -> None:
        self.shown.append(picture)

    def waitKey(self, milliseconds: int) -> int:  # noqa: N802
        return self.keys.pop(0)

    def destroyAllWindows(self) -> None:  # noqa: N802
        self.is_open = False


def test_a_window_shows_the_newest_frame_until_q(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = FakeScreen([-1, -1, ord("q")])
    monkeypatch.setitem(sys.modules, "cv2", screen)
    window = Window()
    assert screen.is_open
    assert window.draw()
    assert not screen.shown
    red = np.zeros((100, 200, 3), np.uint8)
    red[..., 0] = 255
    converter = SimpleNamespace(preview=lambda frame, longest: red)
    window.show(None, converter, 10.0)  # type: ignore[arg-type]
    window.text = "wave 90%"
    assert window.draw()
    assert screen.shown[0][0, 0].tolist() == [0, 0, 255]  # OpenCV's order is BGR.
    assert not window.draw()
    window.close()
    assert not screen.is_open


def test_without_windows_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Headless(FakeScreen):
        def namedWindow(self, title: str, kind: int) -> None:  # noqa: N802
            raise RuntimeError("The function\n is not implemented")

    for module, message in ((None, "needs OpenCV"), (Headless([]), "function is not implemented")):
        monkeypatch.setitem(sys.modules, "cv2", module)
        with pytest.raises(InputError, match=f"{message}.*pip install opencv-contrib") as error:
            Window()
        assert "\n" not in str(error.value)
