"""TensorBoard's event files, through its own package."""

from pathlib import Path

from lastiterate import _extras


def rows(path: Path) -> list[dict[str, float]]:
    """Scalars of an event file, a row a step where they were written together; other summaries are left out.

    Args:
        path: file, such as ``events.out.tfevents.1700000000.host.1.0``.

    Returns:
        Rows with `step` and the tags, in the order in which they were written: after a resume a step comes again.

    Raises:
        ValueError: for a file that is not such a one, or has no scalars.
        MissingExtra: where TensorBoard is not installed.

    Source: `tensorboard.backend.event_processing`, which reads what PyTorch, TensorFlow and JAX programs write.
    """
    _extras.require("tensorboard", "tensorboard")
    loader = _extras.require("tensorboard.backend.event_processing.event_file_loader", "tensorboard")
    tensors = _extras.require("tensorboard.util.tensor_util", "tensorboard")
    found: list[dict[str, float]] = []
    try:
        for event in loader.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name != "scalars":
                    continue
                if not found or found[-1]["step"] != event.step or value.tag in found[-1]:
                    found.append({"step": event.step})
                found[-1][value.tag] = float(tensors.make_ndarray(value.tensor))
    except Exception as error:  # of its own kinds
        raise ValueError(f"{path.name} is not an event file: {type(error).__name__} {str(error)[:100]}") from None
    if not found:
        raise ValueError(f"{path.name} has no scalars")
    return found
