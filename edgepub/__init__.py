"""edgepub: cameras and a DeGirum-supported accelerator in, clean and timely MQTT out."""

__version__ = "0.1.0"
