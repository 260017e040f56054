"""The films of `edgepub bench`."""

import io

import av

from edgepub.cli.bench.camera_films import Kind, make_film, read_number


def test_each_picture_of_a_film_shows_its_number_whatever_its_noise():
    film = make_film(Kind("libx264", 640, 360, 25), 6, noise=14)
    with av.open(io.BytesIO(b"".join(film))) as container:
        numbers = [read_number(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    assert numbers == list(range(150))
