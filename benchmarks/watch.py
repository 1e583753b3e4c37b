"""`s3d watch` over minutes: a file played in real time, and a server that drops every connection.

    scripts/benchmark watch [--seconds 300] [--server-seconds 180] [--drop-every 20]

1. A film of known events is played in real time, with a small net on all cores: delay by minute,
   and the share of frames seen.
2. A server streams a film in real time (MPEG-TS over HTTP) and drops the connection every 20 s; it
   goes on from the present at the next. No end, and of the events that happened none is lost.

The net is trained here, on the generator of `s3d sample` and on scenes in which nothing moves; it
and the film lie in runs/watch. The record is benchmarks/results/watch.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from s3d.data.synthetic import SampleConfig, draw_facts, encode_video, render_video
from s3d.explore.machine import describe_machine
from s3d.train.config import TrainConfig
from s3d.train.train import train

RECORD = Path(__file__).parent / "results" / "watch.json"
WORK = Path("runs/watch")
ACTIONS = ("move_left", "move_right")
NOTHING = "nothing"
CLIPS = 240
RECIPE: dict[str, Any] = {"size": 48, "frames": 8, "rate_fps": 8.0, "epochs": 25}
STRIDE_SECONDS = 0.25
THRESHOLD = 0.6
LEAST_SECONDS = 0.5
SMOOTH_WINDOWS = 3
RATE_FPS, SIZE_PX = 25, (64, 80)
STILL_SECONDS, ACTION_SECONDS = (2.5, 4.5), (3.0, 5.0)
KEY_EVERY = 10

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Happening:
    """Hold what happens in a film, or is said to."""

    label: str
    start: float
    end: float


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--server-seconds", type=float, default=180.0)
    parser.add_argument("--drop-every", type=float, default=20.0)
    args = parser.parse_args()
    model = train_net()
    record = {
        "date": date.today().isoformat(),
        "what": "s3d watch on all cores: a film in real time, and a server that drops connections",
        "command": "scripts/benchmark watch",
        "net": {"classes": [*ACTIONS, NOTHING], **RECIPE},
        "options": {
            "stride": STRIDE_SECONDS,
            "threshold": THRESHOLD,
            "least": LEAST_SECONDS,
            "smooth": SMOOTH_WINDOWS,
        },
        "file": watch_file(model, args.seconds),
        "server": watch_server(model, args.server_seconds, args.drop_every),
        **describe_machine(),
    }
    print(json.dumps(record, indent=1))
    if (args.seconds, args.server_seconds, args.drop_every) == (300.0, 180.0, 20.0):
        RECORD.write_text(json.dumps(record, indent=1) + "\n")


# The net.


def train_net() -> Path:
    """Return the model file, trained where that is not done."""
    clips = WORK / "clips"
    config = SampleConfig(CLIPS, 0, difficulty=0.1, actions=ACTIONS)
    for label in (*ACTIONS, NOTHING):
        (clips / label).mkdir(parents=True, exist_ok=True)
        for number in range(CLIPS):
            path = clips / label / f"{number:04d}.mp4"
            if not path.exists():
                path.write_bytes(draw_clip(label, number, config))
    return train(TrainConfig(data=str(clips), out=str(WORK / "net"), init="none", **RECIPE))


def draw_clip(label: str, number: int, config: SampleConfig) -> bytes:
    """Return a video of an action; or of nothing, which is a scene that stands still."""
    seed = 1000 * ([*ACTIONS, NOTHING].index(label) + 1) + number
    frames, rate_fps = render_video(
        ACTIONS[number % 2] if label == NOTHING else label, seed, config
    )
    if label == NOTHING:
        frames = np.repeat(frames[:1], len(frames), 0)
    return encode_video(frames, rate_fps, draw_facts(seed, config).quantiser)


# The films.


@dataclass(frozen=True)
class Film:
    """Hold an MPEG-TS stream and what is known of it.

    Attributes:
        content: The stream.
        ends: Where each frame ends in it; the first is 0.
        keys: Frames that need no other.
        truth: What happens.
    """

    content: bytes
    ends: list[int]
    keys: list[int]
    truth: list[Happening]

    @property
    def seconds(self) -> float:
        """Return its length."""
        return (len(self.ends) - 1) / RATE_FPS


def make_film(seconds: float, seed: int) -> Film:
    """Return a film of at least that length; the same seed gives the same."""
    rng, truth, keys = np.random.default_rng(seed), list[Happening](), list[int]()
    file, ends = io.BytesIO(), [0]
    options = {"preset": "veryfast", "tune": "zerolatency", "crf": "18", "threads": "1"}
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=RATE_FPS, options=options)
        stream.height, stream.width = SIZE_PX
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = KEY_EVERY
        while len(ends) <= seconds * RATE_FPS:
            label, still, moving = draw_scene_of_film(rng)
            begin = (len(ends) - 1 + len(still)) / RATE_FPS
            truth.append(Happening(label, begin, begin + len(moving) / RATE_FPS))
            for picture in (*still, *moving):
                packets = stream.encode(VideoFrame.from_ndarray(picture, format="rgb24"))
                keys += [len(ends) - 1] * any(packet.is_keyframe for packet in packets)
                container.mux(packets)
                ends.append(file.tell())
        container.mux(stream.encode(None))
    return Film(file.getvalue(), ends, keys, truth)


def draw_scene_of_film(rng: np.random.Generator) -> tuple[str, Frames, Frames]:
    """Return an action, the frames in which its scene stands still, and those in which it moves."""
    label = str(rng.choice(ACTIONS))
    still, moving = (round(rng.uniform(*s) * RATE_FPS) for s in (STILL_SECONDS, ACTION_SECONDS))
    config = SampleConfig(1, 0, difficulty=0.1, actions=ACTIONS, seconds=ACTION_SECONDS[1])
    drawn, rate_fps = render_video(label, int(rng.integers(10**6, 10**9)), config)
    places = np.arange(moving) * rate_fps // RATE_FPS
    frames = np.stack([resize(drawn[place]) for place in places])
    return label, np.repeat(frames[:1], still, 0), frames


def resize(picture: Frames) -> Frames:
    """Return a picture in the film's size."""
    frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(*SIZE_PX[::-1])
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


# Watching.


def watch(source: str, model: Path, seconds: float | None) -> list[dict[str, Any]]:
    """Run `s3d watch` in a process of its own, and return what it says."""
    words = [sys.executable, "-m", "s3d", "watch", source, "--model", str(model), "--json"]
    words += ["--stride", str(STRIDE_SECONDS), "--threshold", str(THRESHOLD)]
    words += [
        "--least",
        str(LEAST_SECONDS),
        "--nothing-labels",
        NOTHING,
        "--smooth",
        str(SMOOTH_WINDOWS),
    ]
    words += ["--seconds", str(seconds)] if seconds else []
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"s3d watch ended with code {done.returncode}.")
    return [json.loads(line) for line in done.stdout.splitlines()]


def watch_file(model: Path, seconds: float) -> dict[str, Any]:
    """Play a film in real time."""
    film = make_film(seconds, seed=1)
    path = WORK / "film.ts"
    path.write_bytes(film.content)
    said = watch(str(path), model, seconds)
    minutes = [line["last_minute"] for line in said if line["event"] == "minute"]
    return {
        "seconds": seconds,
        "p95_ms_by_minute": [round(1000 * minute["p95_seconds"], 1) for minute in minutes],
        "p50_ms_by_minute": [round(1000 * minute["p50_seconds"], 1) for minute in minutes],
        **sum_up(said),
        **compare(film.truth, find_events(said, 0.0), (0.0, seconds)),
    }


def watch_server(model: Path, seconds: float, drop_every: float) -> dict[str, Any]:
    """Watch a server that drops every connection after a while."""
    film = make_film(seconds + 30, seed=2)
    with LiveServer(film, drop_every) as server:
        said = watch(server.url, model, seconds)
    started = parse_time(next(line for line in said if line["event"] == "start")["time"])
    begin = started - server.begin
    return {
        "seconds": seconds,
        "drop_every_seconds": drop_every,
        "connections": server.connections,
        **sum_up(said),
        **compare(film.truth, find_events(said, begin), (begin, begin + seconds)),
    }


def sum_up(said: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of a summary."""
    summary = next(line for line in said if line["event"] == "summary")
    delay = summary["delay"]
    return {
        "delay_ms": {
            name: round(1000 * delay[f"{name}_seconds"], 1) for name in ("p50", "p95", "max")
        },
        **{name: summary[name] for name in ("windows", "skipped", "arrived", "dropped")},
        **{name: summary[name] for name in ("share_seen", "reconnects")},
    }


def find_events(said: Sequence[dict[str, Any]], shift: float) -> list[Happening]:
    """Return the events that ended, on the film's clock."""
    ended = [line for line in said if line["event"] == "end"]
    return [
        Happening(e["label"], e["start_seconds"] + shift, e["end_seconds"] + shift) for e in ended
    ]


def compare(
    truth: Sequence[Happening], found: Sequence[Happening], seen: tuple[float, float]
) -> dict[str, Any]:
    """Say which events that were seen whole are found, and what else is said.

    Args:
        truth: All events of the film.
        found: What was said.
        seen: From when to when the film was watched, in its seconds.
    """
    due = [t for t in truth if t.start > seen[0] and t.end < seen[1] - 1]
    hits = [[f for f in found if f.label == t.label and overlap(t, f) > 0.5] for t in due]
    true = [f for f in found if any(f.label == t.label and overlap(t, f) > 0 for t in truth)]
    shift = [abs(hit[0].start - t.start) for t, hit in zip(due, hits, strict=True) if hit]
    return {
        "events": len(due),
        "lost": sum(not hit for hit in hits),
        "in_two_pieces": sum(len(hit) > 1 for hit in hits),
        "false": len(found) - len(true),
        "median_error_of_begin_seconds": round(float(np.median(shift)), 2) if shift else None,
    }


def overlap(one: Happening, other: Happening) -> float:
    """Return for how many seconds two go on together."""
    return min(one.end, other.end) - max(one.start, other.start)


def parse_time(text: str) -> float:
    """Return the seconds of the time of day."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class LiveServer:
    """Serve a film as it happens, from the present on, and drop each connection after a while."""

    def __init__(self, film: Film, drop_every: float) -> None:
        self.film, self.drop_every, self.connections = film, drop_every, 0
        self.begin = time.time()
        live = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                live.connections += 1
                with contextlib.suppress(OSError):
                    live.send(self.wfile.write)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/live.ts"
        self.thread = Thread(target=self.server.serve_forever, daemon=True)

    def send(self, write: Callable[[bytes], Any]) -> None:
        """Send frames as they happen, from the last key frame on."""
        film, end = self.film, time.time() + self.drop_every
        present = int((time.time() - self.begin) * RATE_FPS)
        frame = max((key for key in film.keys if key <= present), default=0)
        while time.time() < end and frame < len(film.ends) - 1:
            time.sleep(max(0.0, self.begin + frame / RATE_FPS - time.time()))
            write(film.content[film.ends[frame] : film.ends[frame + 1]])
            frame += 1

    def __enter__(self) -> LiveServer:
        self.thread.start()
        self.begin = time.time()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    main()
