"""Short videos, written by PyAV."""

import struct
from fractions import Fraction

import av
import numpy as np

from serving import waves

STEREO = 44_100


def moving(count=6, height=48, width=64, noise=4.0, speed=1.0):
    """Frames of a picture that drifts, with noise: (H, W, 3) each."""
    rng = np.random.default_rng(0)
    frames = [waves(height, width, speed * number / 20) for number in range(count)]
    return [(frame + rng.normal(0, noise, frame.shape)).clip(0, 255).astype(np.uint8) for frame in frames]


def write_video(path, frames, *, rate=10, codec="libx264", times=None, sound=False, aspect=None):
    """Write frames as a video; `times` in hundredths of a second, if they are not even."""
    lossless = {"libx264": {"qp": "0"}, "mpeg4": {"flags": "+qscale", "global_quality": "236"}}.get(codec, {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=lossless)
        stream.height, stream.width = frames[0].shape[:2]
        odd = stream.height % 2 or stream.width % 2
        stream.pix_fmt = "yuv444p" if odd and codec == "libx264" else "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if times:
            stream.codec_context.time_base = Fraction(1, 100)
        if sound:
            add_sound(container)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def add_sound(container):
    stream = container.add_stream("aac", rate=STEREO)
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = STEREO, 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_sound(path):
    with av.open(str(path), "w") as container:
        add_sound(container)
    return path


def turned(path, quarters):
    """Say in an MP4 that it is to be shown turned to the right, by so many quarters."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes
    one = 1 << 16
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters % 4]
    matrix = (cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30)
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


def read_video(path):
    """Return frames, times in seconds, and what is said of the video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return (
            [frame.to_ndarray(format="rgb24") for frame in frames],
            [frame.time for frame in frames],
            {
                "rate": stream.average_rate,
                "sound": len(container.streams.audio),
                "codec": stream.codec_context.name,
                "aspect": stream.sample_aspect_ratio,
            },
        )
