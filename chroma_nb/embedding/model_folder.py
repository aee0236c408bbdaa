"""Examines a folder with a sentence-transformers model, made by anyone, and copies what passed.

sentence-transformers and transformers import classes that a folder's configurations name, unpickle weights and follow paths.
So they never get the folder itself, but a copy: the configurations as they were examined, written anew; the words of the
tokenizer; links to weights in the safetensors format. What `model_contents` does not know is not in the copy, and a model
that asks for it is refused. Whoever changes the folder meanwhile can make loading fail, but brings in nothing that was not
examined. `model_files` reads the files; only `sentence_transformer` calls this.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chroma_nb.embedding import model_contents as contents
from chroma_nb.embedding.model_files import ModelFiles, Weights, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOWNLOADS = ("*.json", "*.txt", "*.model", "*.codes", "model.safetensors", "*/model.safetensors", "*-of-*.safetensors")
"""Patterns of the names that files of a model may have, for a download."""

COPIES = "chroma_nb-model-"
"""How the name of a copy begins."""

_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,100}")
_SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
_METHOD = re.compile(r"forward|get_(text|image)_features")
_MAX_KEY = 100
_MAX_MODULES = 64
_MAX_ROUTERS = 3
_MAX_SHARDS = 1000
_MAX_TOKEN_DIGITS = 7
_SLACK = 4  # layers may share weights, and a size may belong to a part that is not built
_MODEST = 1 << 26
"""Values that any model may take, whatever its weights have."""


@contextlib.contextmanager
def examined(folder: Path) -> Iterator[str]:
    """Give the path of a copy of the model in `folder` in which nothing can run; it is deleted afterwards.

    Parameters
    ----------
    folder
        The model.

    Raises
    ------
    EmbeddingError
        The model is refused, or what describes it is damaged.
    FileNotFoundError
        A part of the model is missing.
    """
    with tempfile.TemporaryDirectory(prefix=COPIES) as copy:
        _Copy(ModelFiles(folder), Path(copy)).model()
        yield copy


class _Copy:
    """A copy that is being made, and the parts of the folder that belong to a module already."""

    def __init__(self, files: ModelFiles, target: Path) -> None:
        self._files = files
        self._target = target
        self._places: set[str] = set()

    def model(self) -> None:
        """Copy the whole model."""
        modules = self._files.read_json("modules.json", list)
        if modules is None:
            self._transformer("", plain=True)
            return
        self._model_settings()
        entries = [self._entry(entry, f"modules.json[{index}]") for index, entry in enumerate(modules)]
        names = {entry["name"] for entry in entries}
        if not 0 < len(names) == len(entries):
            raise self._files.damage("modules.json names no module, or one twice")
        self._write("modules.json", entries)

    def _model_settings(self) -> None:
        name = "config_sentence_transformers.json"
        settings = self._files.read_json(name, dict)
        if settings is None:
            return
        kind = settings.get("model_type", "SentenceTransformer")
        if kind != "SentenceTransformer":
            raise self._files.refusal(f"it is a {shown(kind)}, which embeds no texts")
        prompts = settings.get("prompts") or {}
        if not isinstance(prompts, dict) or not all(text is None or isinstance(text, str) for text in prompts.values()):
            raise self._files.damage(f"{name}: prompts is not an object of texts")
        name_of_prompt, similarity, size = (settings.get(key) for key in ("default_prompt_name", "similarity_fn_name", "truncate_dim"))
        if name_of_prompt is not None and not isinstance(name_of_prompt, str):
            raise self._files.damage(f"{name}: default_prompt_name is {shown(name_of_prompt)}")
        if similarity is not None and not (isinstance(similarity, str) and similarity in _SIMILARITIES):
            raise self._files.damage(f"{name}: similarity_fn_name is {shown(similarity)}")
        if size is not None and not (type(size) is int and size > 0):
            raise self._files.damage(f"{name}: truncate_dim is {shown(size)}")
        kept = {"default_prompt_name": name_of_prompt, "similarity_fn_name": similarity, "truncate_dim": size}
        self._write(name, {"prompts": prompts, **{key: value for key, value in kept.items() if value is not None}})

    def _entry(self, entry: object, where: str) -> dict[str, Any]:
        """Copy one module of modules.json, and return what its entry says of it."""
        if not isinstance(entry, dict):
            raise self._files.damage(f"{where} is {shown(entry)}")
        name, path, arguments = entry.get("name"), entry.get("path"), entry.get("kwargs", [])
        if not isinstance(name, str) or not _NAME.fullmatch(name) or "." in name:
            raise self._files.damage(f"{where}: name is {shown(name)}")
        if not isinstance(arguments, list) or not all(map(contents.is_word, arguments)):
            raise self._files.damage(f"{where}: kwargs is {shown(arguments)}")
        place = self._place(path, where)
        self._module(entry.get("type"), place, where, routers=0)
        return {"idx": entry.get("idx"), "name": name, "path": place, "type": entry["type"], "kwargs": arguments}

    def _place(self, path: object, where: str) -> str:
        """Return the folder of a module within the model's, "" for that itself."""
        parts = [part for part in path.split("/") if part not in ("", ".")] if isinstance(path, str) else []
        if not isinstance(path, str) or path.startswith("/") or not all(_NAME.fullmatch(part) and part.strip(".") for part in parts):
            raise self._files.refusal(f"{where}: path is {shown(path)}, which is no folder within the model's")
        return "/".join(parts)

    def _module(self, type_: object, place: str, where: str, routers: int) -> None:
        """Copy what one module is loaded from."""
        kind = contents.KINDS.get(type_) if isinstance(type_, str) else None
        if kind is None:
            raise self._files.own_code(type_, where)
        if place.casefold() in self._places or len(self._places) >= _MAX_MODULES:
            raise self._files.damage(f"{where}: {_folder(place)} is another module's too, or there are more than {_MAX_MODULES}")
        self._places.add(place.casefold())
        (self._target / place).mkdir(parents=True, exist_ok=True)
        match kind.name:
            case "Transformer" | "CLIPModel":
                self._transformer(place)
            case "Router" | "Asym":
                self._router(place, routers)
            case "StaticEmbedding":
                self._weights(place)
                self._vocabulary(place, ("tokenizer.json",))
            case "WordEmbeddings":
                self._word_embeddings(place)
            case _:
                self._layer(kind, place)

    def _router(self, place: str, routers: int) -> None:
        name, settings = self._first_settings([_join(place, name) for name in ("router_config.json", "config.json")])
        parts: dict[str, Any] = {key: settings.get(key) for key in ("types", "structure", "parameters")}
        if not all(isinstance(part, dict) for part in parts.values()) or routers >= _MAX_ROUTERS:
            raise self._files.damage(f"{name} describes no routes, or routes within routes within routes")
        types, routes = parts["types"], parts["structure"]
        for key, type_ in types.items():
            self._module(type_, _join(place, self._place(key, f"{name}: types")), name, routers + 1)
        if not all(isinstance(route, list) and all(isinstance(step, str) and step in types for step in route) for route in routes.values()):
            raise self._files.damage(f"{name}: structure names modules that are not in types")
        mappings = parts["parameters"].get("route_mappings") or {}
        if not isinstance(mappings, dict) or any(
            len(key) > _MAX_KEY or not isinstance(value, str) or value not in routes for key, value in mappings.items()
        ):
            raise self._files.damage(f"{name}: route_mappings is no object of names")
        self._write(_join(place, "router_config.json"), parts)

    def _word_embeddings(self, place: str) -> None:
        name = _join(place, "wordembedding_config.json")
        settings = self._files.read_json(name, dict) or {}
        tokenizer = settings.get("tokenizer_class")
        words = contents.WORD_TOKENIZERS.get(tokenizer) if isinstance(tokenizer, str) else None
        if words is None:
            raise self._files.own_code(tokenizer, name)
        table = self._files.read_json(_join(place, words), dict)
        if table is None:
            raise FileNotFoundError(f"{_folder(place)} has no tokenizer ({words}).")
        self._weights(place)
        self._write(name, settings)
        self._write(_join(place, words), table)

    def _layer(self, kind: contents.Kind, place: str) -> None:
        """Copy a module that is made from the numbers in its configuration."""
        name = _join(place, kind.configuration)
        settings = (self._files.read_json(name, dict) if kind.configuration else None) or {}
        activation = settings.get("activation_function")
        if activation is not None and not (isinstance(activation, str) and activation in contents.ACTIVATIONS):
            raise self._files.own_code(activation, name)
        room = self._weights(place).values if kind.sizes is not None else 0
        if any(math.prod(_size(settings.get(key)) for key in keys) > room for keys in kind.sizes or ()):
            raise self._files.refusal(f"{name} asks for a layer of more than its weights have")
        if settings:
            self._write(name, settings)

    def _transformer(self, place: str, *, plain: bool = False) -> None:
        """Copy a model of transformers; a plain one has no settings of sentence-transformers."""
        name = _join(place, "config.json")
        if self._files.find(_join(place, "adapter_config.json")) is not None:
            raise self._files.refusal(f"{_folder(place)} holds an adapter to another model (adapter_config.json); merge the two")
        settings = self._files.read_json(name, dict)
        if settings is None:
            raise FileNotFoundError(f"{_folder(place)} holds neither config.json nor, as a whole model does, modules.json")
        settings = self._scrubbed(settings, name)
        architecture = settings.get("model_type")
        if not isinstance(architecture, str) or architecture not in contents.ARCHITECTURES:
            raise self._files.refusal(
                f"{name}: model_type is {shown(architecture)}, which is none of the kinds that are known to embed text"
            )
        demand, weights = contents.demand(settings), self._weights(place)
        if demand.layers > weights.tensors or demand.values > max(_SLACK * weights.values, _MODEST):
            raise self._files.refusal(f"{name} asks for a model of more than its weights have")
        self._write(name, settings)
        if not plain:
            self._transformer_settings(place)
        self._tokenizer(place, plain=plain)
        if architecture in contents.PICTURES_TOO:
            for processor in contents.IMAGE_PROCESSORS:
                self._scrub(_join(place, processor))

    def _transformer_settings(self, place: str) -> None:
        name, settings = self._first_settings([_join(place, name) for name in contents.TRANSFORMER_SETTINGS])
        for key, value in settings.items():
            if not self._is_setting(key, value):
                raise self._files.refusal(f"{name}: {shown(key)} is {shown(value)}, which is not among the known settings")
        if settings:
            self._write(name, settings)

    def _is_setting(self, key: str, value: Any) -> bool:
        """Tell whether a setting says no more than how texts are cut and which output of the model is taken."""
        match key:
            case "max_seq_length":
                return value is None or type(value) is int
            case "do_lower_case" | "unpad_inputs":
                return value is None or isinstance(value, bool)
            case "tokenizer_name_or_path":
                return value is None
            case "transformer_task":
                return bool(value == "feature-extraction")
            case "module_output_name":
                return contents.is_word(value)
            case "modality_config":
                return _is_for_texts(value)
            case "processing_kwargs":
                return isinstance(value, dict) and value.keys() <= {"common", "text"} and all(map(_are_arguments, value.values()))
            case "model_args" | "model_kwargs" | "tokenizer_args" | "processor_kwargs" | "config_args" | "config_kwargs":
                return _are_arguments(value)
        return False

    def _tokenizer(self, place: str, *, plain: bool) -> None:
        name = _join(place, "tokenizer_config.json")
        settings = self._files.read_json(name, dict)
        template = None if settings is None else settings.pop("chat_template", None)
        if plain and (template or any(self._files.find(_join(place, file)) for file in contents.CHAT_TEMPLATES)):
            raise self._files.refusal("its texts would go through a chat template, a program of the folder")
        if settings is not None:
            added = settings.pop("added_tokens_decoder", {})
            kept = self._scrubbed(settings, name)
            if added:
                kept["added_tokens_decoder"] = self._numbered_tokens(added, name)
            self._write(name, kept)
        name = _join(place, "special_tokens_map.json")
        tokens = self._files.read_json(name, dict)
        if tokens is not None:
            # transformers takes whatever else stands here for settings of the tokenizer
            self._write(name, {key: _tokens(value) for key, value in tokens.items() if key.endswith(("_token", "_tokens"))})
        name = _join(place, "added_tokens.json")
        numbers = self._files.read_json(name, dict)
        if numbers is not None:
            self._write(name, {token: number for token, number in numbers.items() if type(number) is int})
        self._vocabulary(place, contents.VOCABULARIES, needed=settings is None)

    def _numbered_tokens(self, tokens: object, name: str) -> dict[str, Any]:
        if not isinstance(tokens, dict) or not all(
            len(number) <= _MAX_TOKEN_DIGITS and isinstance(token, dict) and isinstance(token.get("content"), str)
            for number, token in tokens.items()
        ):
            raise self._files.damage(f"{name}: added_tokens_decoder is no object of tokens by their numbers")
        return {number: contents.token(token) for number, token in tokens.items()}

    def _vocabulary(self, place: str, names: tuple[str, ...], *, needed: bool = True) -> None:
        found = 0
        for name in names:
            words = self._files.read(_join(place, name))
            if words is not None:
                if name == "tokenizer.json":
                    self._check_tokenizer(_join(place, name), words)
                (self._target / place / name).write_bytes(words)
                found += 1
        if needed and not found:
            raise FileNotFoundError(f"{_folder(place)} has no tokenizer ({names[0]}).")

    def _check_tokenizer(self, name: str, content: bytes) -> None:
        added = self._files.parse(name, content, dict).get("added_tokens", [])
        if not isinstance(added, list) or not all(isinstance(token, dict) and token.keys() <= contents.TOKEN for token in added):
            raise self._files.damage(f"{name}: added_tokens is no list of tokens")

    def _weights(self, place: str) -> Weights:
        """Link to the weights of a module, in one file or in several, and return what they say of themselves."""
        single = self._files.read_weights(_join(place, contents.WEIGHTS))
        if single is not None:
            _link(single.path, self._target / place / contents.WEIGHTS)
            return single
        name = _join(place, contents.WEIGHTS_INDEX)
        index = self._files.read_json(name, dict)
        if index is None:
            pickled = next((file for file in contents.PICKLED if self._files.find(_join(place, file))), None)
            other = f", and those of {pickled} are refused: they could run code" if pickled else ""
            raise FileNotFoundError(f"{_folder(place)} has no weights in the safetensors format ({contents.WEIGHTS}){other}.")
        table = index.get("weight_map")
        shards = sorted(set(table.values())) if isinstance(table, dict) and all(isinstance(file, str) for file in table.values()) else []
        if not 0 < len(shards) <= _MAX_SHARDS or not all(_NAME.fullmatch(file) and file.endswith(".safetensors") for file in shards):
            raise self._files.refusal(f"{name} names weights that are not of the safetensors format in the same folder")
        parts = []
        for shard in shards:
            part = self._files.read_weights(_join(place, shard))
            if part is None:
                raise FileNotFoundError(f"{_folder(place)} lacks {shard}.")
            _link(part.path, self._target / place / shard)
            parts.append(part)
        self._write(name, {"metadata": {}, "weight_map": table})
        return Weights(parts[0].path, sum(part.tensors for part in parts), sum(part.values for part in parts))

    def _first_settings(self, names: list[str]) -> tuple[str, dict[str, Any]]:
        """Return the first configuration that says something, as sentence-transformers chooses among names of old and new."""
        for name in names:
            settings: dict[str, Any] | None = self._files.read_json(name, dict)
            if settings:
                return name, settings
        return names[0], {}

    def _scrub(self, name: str) -> None:
        settings = self._files.read_json(name, dict)
        if settings is not None:
            self._write(name, self._scrubbed(settings, name))

    def _scrubbed(self, settings: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return settings of transformers without what belongs to the machine that made them; refuse what names code or files."""
        kept = {}
        for key, value in settings.items():
            if key in contents.CODE:
                if value:
                    raise self._files.own_code(_first_text(value), f"{key} in {name}")
            elif key in contents.CLASSES:
                if not contents.is_known_class(key, value):
                    raise self._files.own_code(value, f"{key} in {name}")
                kept[key] = value
            elif not contents.is_allowed(key, value):
                raise self._files.refusal(f"{name}: {key} is {shown(value)}, which would bring in something from elsewhere")
            elif not contents.is_left_out(key, value):
                kept[key] = self._scrubbed_value(value, name)
        return kept

    def _scrubbed_value(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return contents.token(value) if isinstance(value.get("content"), str) else self._scrubbed(value, name)
        return [self._scrubbed_value(item, name) for item in value] if isinstance(value, list) else value

    def _write(self, name: str, value: Any) -> None:
        (self._target / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _folder(place: str) -> str:
    return f"its part {place!r}" if place else "it"


def _link(real: Path, link: Path) -> None:
    try:
        link.symlink_to(real)
    except FileExistsError:
        raise
    except OSError:  # Windows lets few users make links
        shutil.copyfile(real, link)


def _is_for_texts(value: object) -> bool:
    """Tell whether the ways of a model's inputs are plain: texts go through its tokenizer, not through a chat template."""
    if not isinstance(value, dict) or "text" not in value or "message" in value:
        return False
    for way in value.values():
        if not isinstance(way, dict) or way.keys() != {"method", "method_output_name"}:
            return False
        outputs = way["method_output_name"]
        names = outputs if isinstance(outputs, list) else [outputs]
        if not _METHOD.fullmatch(str(way["method"])) or not all(
            name is None or type(name) is int or contents.is_word(name) for name in names
        ):
            return False
    return True


def _tokens(value: Any) -> Any:
    """Return a token, or several, without what is none of them."""
    if isinstance(value, dict):
        return contents.token(value)
    return [_tokens(item) for item in value] if isinstance(value, list) else value


def _are_arguments(value: object) -> bool:
    return isinstance(value, dict) and all(contents.is_argument(key, item) for key, item in value.items())


def _first_text(value: Any) -> object:
    """Return the first name in an auto_map, for a message."""
    while isinstance(value, (dict, list)) and value:
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value


def _size(value: object) -> int:
    """Return a size, or the sum of several; 1 for what is none."""
    if isinstance(value, list):
        return sum(map(_size, value))
    return max(abs(value), 1) if type(value) is int else 1
