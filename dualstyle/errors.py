"""What can go wrong for a user of DualStyle, as a tree of exceptions.

DualStyleError                 anything a user can act on; the message is one plain sentence or two
├── ImageError                 a picture cannot be read, is too large, or is not a picture
├── FaceError                  no face was found, or the wanted face does not exist
├── CheckpointError            a weight file is broken, unsafe, or not what it was taken for
├── HubError                   a file could not be fetched (network, missing, wrong hash)
├── CatalogueError             an unknown domain or style, or a malformed domain file
└── TrainingError              training cannot begin or go on
"""


class DualStyleError(Exception):
    """An error that its reader can act on; ``str(error)`` says what, where and what to do."""


class ImageError(DualStyleError):
    """A picture cannot be read, is too large, or is not a picture."""


class FaceError(DualStyleError):
    """No face was found, or the wanted face does not exist."""


class CheckpointError(DualStyleError):
    """A weight file is broken, unsafe, or not what it was taken for."""


class HubError(DualStyleError):
    """A file could not be fetched: no network, not there, or not the file that was promised."""


class CatalogueError(DualStyleError):
    """A domain or style is unknown, or a domain file is malformed."""


class TrainingError(DualStyleError):
    """Training cannot begin or go on: wrong data, sizes that do not fit, a loss that exploded."""
