"""Model folders made by an enemy: none of their code runs, whatever names it; what is refused says so, and what is harmless works."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chroma_nb.embedding import SentenceTransformerEmbeddingFunction, available, identity, model_contents, model_folder, restore
from chroma_nb.embedding import sentence_transformer as module
from chroma_nb.errors import EmbeddingError, InvalidTypeError

pytestmark = pytest.mark.skipif(not available(), reason="the extra 'embed' is not installed")

TEXTS = ["alpha beta", "beta"]
ROUTER = "sentence_transformers.base.modules.Router"
STATIC = "sentence_transformers.models.StaticEmbedding"
WORDS = "sentence_transformers.sentence_transformer.modules.WordEmbeddings"
Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small model of the ordinary kind: a transformer, pooling, a dense layer, normalisation."""
    folder = tmp_path_factory.mktemp("sound")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer import modules

        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alpha", "beta", "first"]
        (folder / "vocab.txt").write_text("\n".join(words))
        small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": len(words)}
        transformers.BertModel(transformers.BertConfig(**small)).save_pretrained(folder)
        transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
        parts = [modules.Transformer(str(folder)), modules.Pooling(8), modules.Dense(8, 4), modules.Normalize()]
        SentenceTransformer(modules=parts, device="cpu").save(str(folder / "saved"), create_model_card=False)
    return folder / "saved"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Return the file that exists once code of the folder has run."""
    return tmp_path / "ran"


@pytest.fixture
def model(sound: Path, tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the model with code in it that can be imported by its mere name, too."""
    folder = Path(shutil.copytree(sound, tmp_path / "model"))
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w').close()\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "code"))
    return folder


def setting(file: str, **changes: object) -> Spoil:
    """Change entries of a configuration, which may be new."""

    def spoil(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **changes}))

    return spoil


def modules(**changes: object) -> Spoil:
    """Change the entry of the dense layer in modules.json."""

    def spoil(folder: Path) -> None:
        entries = json.loads((folder / "modules.json").read_text())
        entries[2].update(changes)
        (folder / "modules.json").write_text(json.dumps(entries))

    return spoil


def only(type_: str, file: str, **content: object) -> Spoil:
    """Make the model a single module with that configuration."""

    def spoil(folder: Path) -> None:
        (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "only", "type": type_}]))
        (folder / "only").mkdir()
        (folder / "only" / file).write_text(json.dumps(content))

    return spoil


def routes(type_: object, *, file: str = "router_config.json") -> Spoil:
    """Make the model a router to one class."""
    return only(ROUTER, file, types={"a": type_}, structure={"query": ["a"], "document": ["a"]}, parameters={})


def content(file: str, text: str | bytes) -> Spoil:
    """Replace a file."""
    return lambda folder: (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())


def pickled(file: str, *, instead_of: str | None = None) -> Spoil:
    """Write a pickle that runs code when it is read."""

    def spoil(folder: Path) -> None:
        if instead_of is not None:
            (folder / instead_of).unlink()
        (folder / file).write_bytes(f"cbuiltins\nopen\n(V{folder.parent / 'ran'}\nVw\ntR.".encode())

    return spoil


def linked(file: str, to: str) -> Spoil:
    """Make a file a link."""

    def spoil(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).symlink_to(to)

    return spoil


def pipe(file: str) -> Spoil:
    """Make a file a pipe that nobody writes to."""

    def spoil(folder: Path) -> None:
        (folder / file).unlink()
        os.mkfifo(folder / file)

    return spoil


def shards(*names: str) -> Spoil:
    """Say that the weights are in other files."""

    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
        pickled("weights.bin")(folder)
        index = {"metadata": {}, "weight_map": {f"tensor{number}": name for number, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return spoil


def both(*steps: Spoil) -> Spoil:
    """Do several things to a folder."""
    return lambda folder: [step(folder) for step in steps]


def without(file: str) -> Spoil:
    """Delete a file."""
    return lambda folder: (folder / file).unlink()


def another(path: str) -> Spoil:
    """Add a dense layer at the end."""

    def spoil(folder: Path) -> None:
        entries = json.loads((folder / "modules.json").read_text())
        entries.append({"idx": 4, "name": "4", "path": path, "type": "sentence_transformers.models.Dense"})
        (folder / "modules.json").write_text(json.dumps(entries))

    return spoil


def moved_out(file: str) -> Spoil:
    """Make a part of the model a link to where it is now, beside the folder."""

    def spoil(folder: Path) -> None:
        outside = folder.parent / "outside"
        (folder / file).rename(outside)
        (folder / file).symlink_to(outside)

    return spoil


def weights_of_nothing(folder: Path) -> None:
    """Leave a single tensor, so that a model would be made of whatever its configuration says."""
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def nested(depth: int) -> dict[str, Any]:
    """Return an object in an object in an object."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"deeper": value}
    return value


DENSE, BERT, TOKENIZER, CONFIG = "2_Dense/config.json", "sentence_bert_config.json", "tokenizer_config.json", "config.json"
WHOLE = "config_sentence_transformers.json"
REMOTE = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}

NAMES_CODE: dict[str, Spoil] = {
    "modules: a class of the folder": modules(type="evil.Evil"),
    "modules: a class of a package": modules(type="http.server.HTTPServer"),
    "modules: a function of the library": modules(type="sentence_transformers.util.misc.import_from_string"),
    "modules: a class beside the library's": modules(type="sentence_transformers.base.modules.transformer.AutoModel"),
    "modules: a package of the library": modules(type="sentence_transformers.models.Dense.os"),
    "modules: another library's name": modules(type="sentence_transformers_evil.Dense"),
    "modules: a training class": modules(type="sentence_transformers.trainer.SentenceTransformerTrainer"),
    "modules: no name": modules(type=None),
    "modules: a list": modules(type=["sentence_transformers.models.Dense"]),
    "modules: spaces": modules(type=" sentence_transformers.models.Dense"),
    "router: a class of the folder": routes("evil.Evil"),
    "router: no name": routes({"a": 1}),
    "router: in the file of old versions": routes("evil.Evil", file="config.json"),
    "router: under its old name": only(
        "sentence_transformers.models.Asym", "config.json", types={"a": "evil.Evil"}, structure={}, parameters={}
    ),
    "router: in a router": both(
        routes(ROUTER),
        lambda folder: (folder / "only" / "a").mkdir(),
        content("only/a/router_config.json", '{"types": {"b": "evil.Evil"}, "structure": {}, "parameters": {}}'),
    ),
    "words: a tokenizer of the folder": only(WORDS, "wordembedding_config.json", tokenizer_class="evil.Evil"),
    "words: a tokenizer of transformers": only(WORDS, "wordembedding_config.json", tokenizer_class="transformers.AutoTokenizer"),
    "words: no tokenizer": only(WORDS, "wordembedding_config.json", max_seq_length=3),
    "dense: a class of the folder": setting(DENSE, activation_function="evil.Evil"),
    "dense: a program of torch": setting(DENSE, activation_function="torch.utils.collect_env.main"),
    "dense: a module of torch": setting(DENSE, activation_function="torch.nn.modules.activation.torch"),
    "dense: a list": setting(DENSE, activation_function=["torch.nn.Tanh"]),
    "config: auto_map": setting(CONFIG, auto_map=REMOTE),
    "config: auto_map to a repository": setting(CONFIG, auto_map={"AutoModel": "evil/repo--evil.Evil"}),
    "config: auto_map for the tokenizer": setting(CONFIG, auto_map={"AutoTokenizer": ["evil.Evil", None]}),
    "config: auto_map for the processor": setting(CONFIG, auto_map={"AutoProcessor": "evil.Evil"}),
    "config: auto_map deep inside": setting(CONFIG, text_config={"auto_map": REMOTE}),
    "config: auto_map of an unknown kind": setting(CONFIG, auto_map=REMOTE, model_type="evil"),
    "config: a pipeline": setting(CONFIG, custom_pipelines={"x": {"impl": "evil.Evil"}}),
    "config: a tokenizer": setting(CONFIG, tokenizer_class="evil.Evil"),
    "tokenizer: auto_map": setting(TOKENIZER, auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]}),
    "tokenizer: auto_map as a list": setting(TOKENIZER, auto_map=["evil.Evil", None]),
    "tokenizer: a class of the folder": setting(TOKENIZER, tokenizer_class="evil.Evil"),
    "tokenizer: a model": setting(TOKENIZER, tokenizer_class="AutoModel"),
    "tokenizer: one that loads models": setting(TOKENIZER, tokenizer_class="RagTokenizer"),
    "tokenizer: a processor of the folder": setting(TOKENIZER, processor_class="evil.Evil"),
    "tokenizer: one that asks again": setting(TOKENIZER, tokenizer_class="AutoTokenizer"),
    "tokenizer: a processor that asks again": setting(TOKENIZER, processor_class="AutoProcessor"),
    "tokenizer: a processor of sounds": setting(TOKENIZER, processor_class="BarkProcessor"),
    "tokenizer: a number": setting(TOKENIZER, tokenizer_class=1),
}

GOES_ELSEWHERE: dict[str, Spoil] = {
    **{
        f"config: {name} {value}": setting(CONFIG, **{name: value})
        for name, value in (
            ("attn_implementation", "evil/kernel"),
            ("attn_implementation", "flash_attention_2|evil/kernel@main"),
            ("attn_implementation", {"": "evil/kernel"}),
            ("experts_implementation", "evil/kernel"),
            ("quantization_config", {"quant_method": "torchao", "quant_type": "evil.Evil"}),
            ("transformers_weights", "../outside.bin"),
            ("transformers_weights", "pytorch_model.bin"),
            ("configuration_files", ["config.4.0.0.json"]),
            ("attribute_map", {"_attn_implementation_internal": "label"}),
            ("sub_configs", {"text_config": "evil.Evil"}),
            ("gguf_file", "evil.gguf"),
            ("use_kernels", True),
            ("trust_remote_code", True),
            ("dtype", "os"),
            ("torch_dtype", "hub"),
            ("model_type", "timm_wrapper"),
            ("model_type", "rag"),
            ("model_type", "encoder-decoder"),
            ("model_type", "no such kind"),
            ("model_type", None),
            ("model_type", ["bert"]),
            ("per_layer", {"kernel_config": {"a": "evil/kernel"}}),
        )
    },
    **{
        f"tokenizer: {name} {value}": setting(TOKENIZER, **{name: value})
        for name, value in (
            ("vocab", "/dev/zero"),
            ("merges", "/dev/zero"),
            ("init_inputs", ["/dev/zero"]),
            ("tokenizer_object", "evil"),
            ("fast_tokenizer_files", ["tokenizer.4.0.0.json"]),
            ("gguf_file", "/dev/zero"),
            ("audio_tokenizer", {"audio_tokenizer_class": "AutoModel", "audio_tokenizer_name_or_path": "/tmp"}),
            ("mecab_kwargs", {"mecab_option": "-d /tmp -r /tmp/rc"}),
            ("padding_side", "up"),
        )
    },
    **{
        f"transformer: {name[:40]} {value!r:.40}": setting(BERT, **{name: value})
        for name, value in (
            ("tokenizer_name_or_path", "evil/repo"),
            ("tokenizer_name_or_path", "/tmp"),
            ("model_args", {"trust_remote_code": True}),
            ("model_kwargs", {"use_safetensors": False}),
            ("model_kwargs", {"weights_only": False}),
            ("model_kwargs", {"attn_implementation": "evil/kernel"}),
            ("model_kwargs", {"adapter_kwargs": {"subfolder": ".."}}),
            ("model_kwargs", {"offload_folder": "/tmp/evil"}),
            ("model_kwargs", {"quantization_config": {"load_in_8bit": True}}),
            ("model_kwargs", {"variant": "evil"}),
            ("model_kwargs", {"dtype": "os"}),
            ("model_kwargs", "evil"),
            ("config_kwargs", {"_configuration_file": "/dev/zero"}),
            ("config_kwargs", {"gguf_file": "x"}),
            ("tokenizer_args", {"tokenizer_file": "/dev/zero"}),
            ("processor_kwargs", {"code_revision": "main"}),
            ("processing_kwargs", {"chat_template": {"chat_template": "{{ x }}"}}),
            ("processing_kwargs", {"text": {"padding": 10**12}}),
            ("modality_config", {"text": {"method": "push_to_hub", "method_output_name": None}}),
            ("modality_config", {"text": {"method": "__init__", "method_output_name": None}}),
            ("modality_config", {"text": {"method": "forward", "method_output_name": "__class__"}}),
            ("modality_config", {"message": {"method": "forward", "method_output_name": "last_hidden_state", "format": "flat"}}),
            ("transformer_task", "text-generation"),
            ("backend", "onnx"),
            ("file_name", "evil.onnx"),
            ("max_seq_length", "evil"),
            ("\x1b[31mevil" * 1000, "\x1b[31mevil" * 1000),
        )
    },
    "an adapter to another model": content(
        "adapter_config.json", '{"base_model_name_or_path": "evil/repo", "auto_mapping": {"parent_library": "evil"}}'
    ),
    "a template for texts": both(without("modules.json"), content("chat_template.jinja", "{{ cycler.__init__.__globals__.os.getcwd() }}")),
    "a template for texts in the tokenizer": both(without("modules.json"), setting(TOKENIZER, chat_template="{{ x }}")),
    "a model for pairs of texts": setting(WHOLE, model_type="CrossEncoder"),
    "a model of a list": setting(WHOLE, model_type=[]),
}

LEAVES_THE_FOLDER: dict[str, Spoil] = {
    **{
        f"path {path!r}": modules(path=path)
        for path in ("../outside", "..", "/tmp", "a/../../b", "2_Dense//..", "C:\\x", "a\x00b", "~", None, 7, ["2_Dense"])
    },
    "path of a route": both(routes(STATIC), setting("only/router_config.json", types={"../../outside": STATIC})),
    "path of a route that is absolute": both(routes(STATIC), setting("only/router_config.json", types={"/tmp": STATIC})),
    "two modules in one place": modules(path="1_Pooling"),
    "two modules in one place by case": another("2_DENSE"),
    "link to a file outside": moved_out("modules.json"),
    "link to a module outside": moved_out("2_Dense"),
    "link to weights outside": moved_out("model.safetensors"),
    "link to weights of a module outside": moved_out("2_Dense/model.safetensors"),
    "link to a vocabulary outside": moved_out("tokenizer.json"),
    "link to the machine's files": linked("tokenizer_config.json", "/etc/passwd"),
    "link to itself": linked(CONFIG, CONFIG),
    "device": linked("modules.json", "/dev/zero"),
    "device as a vocabulary": linked("tokenizer.json", "/dev/zero"),
    "device as weights": linked("model.safetensors", "/dev/zero"),
    "pipe": pipe("modules.json"),
    "pipe as a vocabulary": pipe("tokenizer.json"),
    "pipe as weights": pipe("model.safetensors"),
    "folder as configuration": both(without(CONFIG), lambda folder: (folder / CONFIG).mkdir()),
    "shards outside": shards("../outside.safetensors"),
    "shards at a path": shards("/tmp/outside.safetensors"),
    "shards that are missing": shards("model-00001-of-00001.safetensors"),
    "no shards": shards(),
}

IS_PICKLED: dict[str, Spoil] = {
    "weights": pickled("pytorch_model.bin", instead_of="model.safetensors"),
    "weights of a module": pickled("2_Dense/pytorch_model.bin", instead_of="2_Dense/model.safetensors"),
    "weights under the other name": pickled("model.safetensors"),
    "weights of a module under the other name": pickled("2_Dense/model.safetensors"),
    "shards": shards("weights.bin"),
    "shards of old versions": both(
        pickled("weights.bin", instead_of="model.safetensors"),
        content("pytorch_model.bin.index.json", '{"weight_map": {"a": "weights.bin"}}'),
    ),
    "weights of TensorFlow": pickled("tf_model.h5", instead_of="model.safetensors"),
    "weights of Flax": pickled("flax_model.msgpack", instead_of="model.safetensors"),
    "a checkpoint": pickled("model.ckpt", instead_of="model.safetensors"),
}

ASKS_FOR_TOO_MUCH: dict[str, Spoil] = {
    "layers": setting(CONFIG, num_hidden_layers=10**9),
    "layers in a nested configuration": setting(CONFIG, text_config={"num_layers": 10**9}),
    "positions": setting(CONFIG, max_position_embeddings=10**12),
    "a dense layer": setting(DENSE, in_features=10**5, out_features=10**5),
    "a width that no weights have": both(setting(CONFIG, hidden_size=20_000, num_attention_heads=2), weights_of_nothing),
    "words that no weights have": both(setting(CONFIG, vocab_size=10**10), weights_of_nothing),
    "a dense layer of a thread": setting(DENSE, in_features=1, out_features=10**9),
    "numbers of tokens": setting(TOKENIZER, added_tokens_decoder={"10000000000": {"content": "x"}}),
    "modules": both(*(another(f"dense{number}") for number in range(100))),
    "a configuration": content(CONFIG, b" " * (16 << 20) + b"{}"),
    "a header": content("model.safetensors", (1 << 62).to_bytes(8, "little") + b"{}"),
    "a shape": content("model.safetensors", (47).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[99999999999999999]'),
}

BREAKS_THE_TOKENIZER: dict[str, Spoil] = {
    "a panic when it is read": setting("tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "a panic at the first text": both(
        setting(TOKENIZER, tokenizer_class="PreTrainedTokenizerFast"),
        setting("tokenizer.json", pre_tokenizer={"type": "FixedLength", "length": 0}),
    ),
    "no tokenizer": content("tokenizer.json", "evil"),
    "a negative length": setting(BERT, max_seq_length=-5),
    "tokens with other settings": setting("tokenizer.json", added_tokens=[{"id": 0, "content": "x", "\x1b[31mevil": True}]),
    "tokens that are no list": setting("tokenizer.json", added_tokens={"evil": 1}),
    "tokens by number that are none": setting(TOKENIZER, added_tokens_decoder={"0": {"\x1b[31mevil": 1}}),
    "padding": setting(TOKENIZER, tokenizer_padding={"\x1b[31mevil": 1}),
}

REFUSED = {
    f"{kind}, {name}": spoil
    for kind, group in (
        ("names code", NAMES_CODE),
        ("goes elsewhere", GOES_ELSEWHERE),
        ("leaves the folder", LEAVES_THE_FOLDER),
        ("is pickled", IS_PICKLED),
        ("asks for too much", ASKS_FOR_TOO_MUCH),
        ("breaks the tokenizer", BREAKS_THE_TOKENIZER),
    )
    for name, spoil in group.items()
}

CONFIGURATIONS = (
    "modules.json",
    WHOLE,
    CONFIG,
    BERT,
    TOKENIZER,
    "1_Pooling/config.json",
    DENSE,
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
)
ODD_JSON = {
    "nothing": b"",
    "no JSON": b"{'a': 1}",
    "no text": b"\xff\xfe\x00",
    "a number": b"1",
    "null": b"null",
    "a text": b'"evil"',
    "the other of object and list": b'[{"a": [}]',
    "a key twice": b'{"type": "sentence_transformers.models.Dense", "type": "evil.Evil"}',
    "a key twice, escaped": b'[{"type": 1, "t\\u0079pe": 2}]',
    "a number of 1,000 digits": b'{"a": 1' + b"0" * 1000 + b"}",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a number beyond floats": b'{"a": 1e999}',
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "half a character": b'{"a": "\\ud800"}',
    "a deep object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a fairly deep object": json.dumps(nested(40)).encode(),
    "a deep list": b"[" * 100_000,
    "two values": b"{}{}",
}

HARMLESS: dict[str, Spoil] = {
    "pickled weights beside the others": both(pickled("pytorch_model.bin"), pickled("2_Dense/pytorch_model.bin"), pickled("rust_model.ot")),
    "a template that is not used": both(content("chat_template.jinja", "{{ 1/0 }}"), setting(TOKENIZER, chat_template="{{ 1/0 }}")),
    "what the library writes for itself": setting(CONFIG, _attn_implementation="evil/kernel", _name_or_path="evil/repo", _commit_hash="x"),
    "what stands for a class's own dictionary": setting(
        CONFIG, __dict__={"_attn_implementation_internal": "evil/kernel"}, __class__="evil"
    ),
    "paths of another machine": setting(TOKENIZER, tokenizer_file="/dev/zero", vocab_file="/dev/zero", name_or_path="/home/evil"),
    "paths among the special tokens": setting(
        "special_tokens_map.json", vocab_file="/dev/zero", tokenizer_file="/dev/zero", init_inputs=["x"]
    ),
    "an empty map of code": setting(CONFIG, auto_map={}, quantization_config=None),
    "tokens as objects": both(
        setting(TOKENIZER, unk_token={"__type": "AddedToken", "content": "[UNK]", "lstrip": False, "normalized": True, "\x1b[31mevil": 1}),
        setting("special_tokens_map.json", mask_token={"content": "[MASK]", "\x1b[31mevil": 1}),
    ),
    "tokens by number": setting(TOKENIZER, added_tokens_decoder={"1": {"content": "[UNK]", "special": True, "\x1b[31mevil": 1}}),
    "a link within the folder": both(
        lambda folder: (folder / "tokenizer.json").rename(folder / "2_Dense" / "words"),
        lambda folder: (folder / "tokenizer.json").symlink_to("2_Dense/words"),
    ),
    "a roundabout path": modules(path="./2_Dense//"),
    "labels": setting(CONFIG, num_labels=10**9),
    "code that nobody names": content("sitecustomize.py", "import evil"),
    "a model card": content("README.md", "{{ evil }}"),
    "settings of generation": content("generation_config.json", '{"custom_generate": "evil"}'),
    "weights of another format": pickled("openvino_model.bin"),
    "another version's note": setting(WHOLE, __version__={"sentence_transformers": "evil"}),
    "a known attention": setting(CONFIG, attn_implementation="eager"),
}


def test_how_many_folders_are_tried() -> None:
    assert (len(REFUSED), len(CONFIGURATIONS) * len(ODD_JSON), len(HARMLESS)) == (165, 200, 18)


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_do_harm_is_refused_and_does_none(name: str, model: Path, canary: Path) -> None:
    REFUSED[name](model)
    with pytest.raises(EmbeddingError, match=r"refused|can't be loaded") as raised:
        SentenceTransformerEmbeddingFunction(model, device="cpu")(TEXTS)
    assert not canary.exists()
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("file", CONFIGURATIONS)
@pytest.mark.parametrize("odd", ODD_JSON)
def test_odd_json_is_an_error_that_names_the_file(odd: str, file: str, model: Path, canary: Path) -> None:
    content(file, ODD_JSON[odd])(model)
    with pytest.raises(EmbeddingError, match="can't be loaded") as raised:
        SentenceTransformerEmbeddingFunction(model, device="cpu")(TEXTS)
    assert file in str(raised.value)
    assert not canary.exists()


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_no_harm_changes_nothing(name: str, model: Path, sound: Path, canary: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = SentenceTransformerEmbeddingFunction(sound, device="cpu")(TEXTS)
    HARMLESS[name](model)
    np.testing.assert_array_equal(SentenceTransformerEmbeddingFunction(model, device="cpu")(TEXTS), expected)
    assert not canary.exists()
    assert capfd.readouterr().out == ""


def test_nothing_of_the_copy_that_was_loaded_stays(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    SentenceTransformerEmbeddingFunction(model, device="cpu")(TEXTS)
    modules(type="evil.Evil")(model)
    with pytest.raises(EmbeddingError):
        SentenceTransformerEmbeddingFunction(f"{model}/", device="cpu")(TEXTS)
    assert list(place.iterdir()) == []


def test_a_folder_that_changes_meanwhile_brings_in_nothing(model: Path, canary: Path) -> None:
    with model_folder.examined(model) as copy:
        for spoil in (modules(type="evil.Evil"), setting(CONFIG, auto_map=REMOTE), pickled("2_Dense/pytorch_model.bin")):
            spoil(model)
        names = {str(file.relative_to(copy)) for file in Path(copy).rglob("*")}
        assert not {"evil.py", "2_Dense/pytorch_model.bin"} & names
        assert "evil" not in "".join(Path(copy, name).read_text() for name in names if name.endswith(".json"))
    assert not canary.exists()


@pytest.mark.parametrize("spoil", [modules(type="evil.Evil"), routes("evil.Evil")])
def test_code_of_the_folder_runs_where_it_is_trusted(spoil: Spoil, model: Path, canary: Path) -> None:
    spoil(model)
    with pytest.raises(EmbeddingError, match="Evil"):
        SentenceTransformerEmbeddingFunction(model, device="cpu", trust_remote_code=True)(TEXTS)
    assert canary.exists()


def test_trust_is_said_in_each_process_and_for_each_function(model: Path) -> None:
    trusting = SentenceTransformerEmbeddingFunction(model, device="cpu", trust_remote_code=True)
    assert "trust_remote_code" not in json.dumps(identity(trusting))
    assert restore(identity(trusting)) is None
    trusting(TEXTS)
    modules(type="evil.Evil")(model)
    with pytest.raises(EmbeddingError, match="refused"):
        SentenceTransformerEmbeddingFunction(model, device="cpu")(TEXTS)
    for wrong in ("False", 1, None):
        with pytest.raises(InvalidTypeError, match="trust_remote_code"):
            SentenceTransformerEmbeddingFunction(model, trust_remote_code=wrong)  # type: ignore[arg-type]


@pytest.fixture
def cached(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that the model hub's cache has for "evil/repo": every file a link to a blob."""
    repository = tmp_path / "cache" / "models--evil--repo"
    snapshot = repository / "snapshots" / ("a" * 40)
    shutil.copytree(model, snapshot)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    for number, file in enumerate(sorted(path for path in snapshot.rglob("*") if path.is_file())):
        blob = file.rename(repository / "blobs" / str(number))
        file.symlink_to(os.path.relpath(blob, file.parent))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(module, "_models", {})
    return snapshot


def test_a_model_of_the_hub_is_examined_in_its_cache(cached: Path, sound: Path, canary: Path) -> None:
    expected = SentenceTransformerEmbeddingFunction(sound, device="cpu")(TEXTS)
    for name in ("evil/repo", cached):
        np.testing.assert_array_equal(SentenceTransformerEmbeddingFunction(name, device="cpu")(TEXTS), expected)
    modules(type="evil.Evil")(cached)
    module._models.clear()
    for name in ("evil/repo", cached):
        with pytest.raises(EmbeddingError, match=r"'evil\.Evil'.*refused"):
            SentenceTransformerEmbeddingFunction(name, device="cpu")(TEXTS)
    assert not canary.exists()


def test_a_cache_of_the_hub_is_no_way_out(cached: Path, tmp_path: Path) -> None:
    blobs = cached.parents[1] / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmbeddingError, match="link out of the folder"):
        SentenceTransformerEmbeddingFunction("evil/repo", device="cpu")(TEXTS)


def test_nothing_that_can_run_is_downloaded() -> None:
    for name in ("modeling.py", "pytorch_model.bin", "1_Dense/pytorch_model.bin", "model.pkl", "weights.pt", "x.so", "model.ckpt", "x.h5"):
        assert not any(fnmatch.fnmatch(name, pattern) for pattern in model_folder.DOWNLOADS)


@pytest.mark.filterwarnings("ignore")
def test_every_name_that_may_be_imported_is_a_class_of_the_library() -> None:
    from sentence_transformers.util import import_from_string

    for name in (*model_contents.KINDS, *model_contents.WORD_TOKENIZERS, *model_contents.ACTIVATIONS):
        found = import_from_string(name)
        assert isinstance(found, type), name
        assert found.__module__.startswith(("sentence_transformers.", "torch.nn.modules.")), name
        assert found.__name__ == name.rpartition(".")[2].replace("Asym", "Router")
