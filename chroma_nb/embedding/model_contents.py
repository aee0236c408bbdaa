"""What a sentence-transformers model may consist of: the classes, files and settings that can do no more than embed text.

Lists of what is allowed, by the names that stand in a model's configurations, and the checks of single settings; no file is
opened here. `model_folder` applies them to a folder.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A class of sentence-transformers that a model may be made of."""

    name: str
    home: str
    """The module of sentence_transformers that defines it."""

    configuration: str = ""
    """Name of its configuration, "" for a kind that has none or one that is examined in its own way."""

    sizes: tuple[tuple[str, ...], ...] | None = None
    """Settings whose products are no more than the weights have values; None for a kind without weights."""


_KINDS = (
    Kind("Transformer", "base.modules.transformer"),
    Kind("CLIPModel", "sentence_transformer.modules.clip_model"),
    Kind("Router", "base.modules.router"),
    Kind("Asym", "models.Asym"),  # what the router was called
    Kind("StaticEmbedding", "sentence_transformer.modules.static_embedding"),
    Kind("WordEmbeddings", "sentence_transformer.modules.word_embeddings"),
    Kind("BoW", "sentence_transformer.modules.bow", "config.json"),
    Kind("Dense", "base.modules.dense", "config.json", (("in_features", "out_features"),)),
    Kind(
        *("CNN", "sentence_transformer.modules.cnn", "cnn_config.json"),
        (("in_embedding_dimension", "in_word_embedding_dimension", "out_channels", "kernel_sizes"),),
    ),
    Kind(
        *("LSTM", "sentence_transformer.modules.lstm", "lstm_config.json"),
        (("embedding_dimension", "word_embedding_dimension", "hidden_dim"), ("hidden_dim", "hidden_dim", "num_layers")),
    ),
    Kind("LayerNorm", "sentence_transformer.modules.layer_norm", "config.json", (("dimension",),)),
    Kind("WeightedLayerPooling", "sentence_transformer.modules.weighted_layer_pooling", "config.json", ()),
    Kind("WordWeights", "sentence_transformer.modules.word_weights", "config.json"),
    Kind("Pooling", "sentence_transformer.modules.pooling", "config.json"),
    Kind("Dropout", "sentence_transformer.modules.dropout", "config.json"),
    Kind("Normalize", "sentence_transformer.modules.normalize"),
)

KINDS = {
    f"sentence_transformers.{path}.{kind.name}": kind
    for kind in _KINDS
    for path in (
        kind.home,
        kind.home.rpartition(".")[0],
        "sentence_transformer.modules",
        "models",  # until 5.4
        f"models.{kind.name}",
    )
}
"""Name of a class, in each spelling that sentence-transformers has written into modules.json -> the class."""

WORD_TOKENIZERS = {
    f"sentence_transformers.{path}.{name}": f"{name.lower()}_config.json"
    for name, module in (("WhitespaceTokenizer", "whitespace"), ("PhraseTokenizer", "phrase"))
    for path in (
        "sentence_transformer.modules.tokenizer",
        f"sentence_transformer.modules.tokenizer.{module}",
        "models.tokenizer",  # until 5.4
        f"models.tokenizer.{name}",
    )
}
"""Name of a tokenizer of whole words -> its configuration."""

_ACTIVATIONS = (
    *("CELU", "ELU", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "Mish", "PReLU", "ReLU"),
    *("ReLU6", "SELU", "Sigmoid", "SiLU", "Softplus", "Softsign", "Tanh", "Tanhshrink"),
)

ACTIVATIONS = frozenset(
    (
        *(f"torch.nn.{name}" for name in _ACTIVATIONS),
        *(f"torch.nn.modules.activation.{name}" for name in _ACTIVATIONS),
        *("torch.nn.Identity", "torch.nn.modules.linear.Identity"),
    )
)
"""The functions that may follow a Dense layer."""

PICTURES_TOO = frozenset(("chinese_clip", "clip", "siglip", "siglip2"))
"""Kinds of models that embed pictures as well, and so need the settings of an image processor."""

ARCHITECTURES = PICTURES_TOO | {
    *("albert", "bert", "bert-generation", "big_bird", "bloom", "camembert", "canine", "cohere", "cohere2", "convbert", "data2vec-text"),
    *("deberta", "deberta-v2", "distilbert", "dpr", "electra", "ernie", "eurobert", "exaone4", "falcon", "flaubert", "fnet", "funnel"),
    *("gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neo", "gpt_neox", "gptj", "granite", "granitemoe", "gte", "helium", "ibert"),
    *("jina_embeddings_v3", "lfm2", "llama", "longformer", "longt5", "luke", "megatron-bert", "ministral", "ministral3", "mistral"),
    *("mixtral", "mobilebert", "modernbert", "modernbert-decoder", "mpnet", "mt5", "nomic_bert", "nystromformer", "olmo", "olmo2"),
    *("olmo3", "opt", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "rembert", "roberta", "roberta-prelayernorm"),
    *("roc_bert", "roformer", "smollm3", "splinter", "squeezebert", "stablelm", "starcoder2", "t5", "umt5", "xglm", "xlm"),
    *("xlm-roberta", "xlm-roberta-xl", "xlnet", "xmod"),
}
"""transformers' own kinds of models (``model_type``) that embed text and get nothing from elsewhere when they are built."""

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
"""Weights in other formats, for a message."""

VOCABULARIES = (
    *("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
    *("sentencepiece.model", "spm.model", "tiktoken.model", "bpe.codes", "dict.txt", "entity_vocab.json"),
    *("word_shape.json", "word_pronunciation.json"),
)
"""Files of tokenizers that hold nothing but words and numbers."""

TRANSFORMER_SETTINGS = tuple(
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
CHAT_TEMPLATES = ("chat_template.jinja", "chat_template.json")
IMAGE_PROCESSORS = ("preprocessor_config.json", "processor_config.json")

CODE = frozenset(("auto_map", "custom_generate", "custom_pipelines"))
"""Keys in transformers' configurations that name code of the folder, or of a repository."""

ELSEWHERE = frozenset(
    (
        *(
            "attribute_map",
            "audio_tokenizer",
            "base_config_key",
            "configuration_files",
            "extra_config_files",
            "extra_files",
            "fast_tokenizer_files",
        ),
        *("gguf_file", "init_inputs", "kernel_config", "merges", "post_processor", "quantization_config", "slow_tokenizer"),
        *(
            "sub_configs",
            "sub_configs_defaults",
            "tokenizer_object",
            "tokenizer_padding",
            "tokenizer_truncation",
            "transformers_weights",
            "trust_remote_code",
            "use_kernels",
            "vocab",
        ),
    )
)
"""Keys that make transformers read other files, run other libraries, or take one setting for another."""

TOKEN = frozenset(("__type", "content", "id", "lstrip", "normalized", "rstrip", "single_word", "special"))
"""What transformers keeps of a token; the tokenizers' Rust prints the names of others."""

CLASSES = {
    "tokenizer_class": re.compile(r"(?!Auto|Rag)\w+Tokenizer(Fast)?|(Tokenizers|SentencePiece|Python)Backend", re.ASCII),
    "processor_class": re.compile(r"(ChineseCLIP|CLIP|Siglip|Siglip2)Processor"),
    "image_processor_type": re.compile(r"(?!Auto)\w+ImageProcessor\w*", re.ASCII),
    "feature_extractor_type": re.compile(r"(?!Auto)\w+FeatureExtractor", re.ASCII),
}
"""Keys whose value is the name of one of transformers' classes -> the names that are harmless; Auto and Rag take what others name."""

_LABELS = frozenset(("id2label", "label2id", "num_labels"))
_LOCATION = re.compile(r".*_(dir|file|files|folder|path)")
_WORD_SPLITTER = frozenset(("jumanpp_kwargs", "mecab_kwargs", "sudachi_kwargs"))
_SIZE = re.compile(r".*(size|positions|position_embeddings)")
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd", "emb_dim")
_INNER_WIDTHS = ("intermediate_size", "d_ff", "hidden_dim", "ffn_dim", "n_inner")
_DEPTHS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer", "encoder_layers")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

_ONE_OF: dict[str, frozenset[Any]] = {
    "attn_implementation": frozenset((None, "eager", "sdpa")),  # others come from libraries, or from the model hub
    "experts_implementation": frozenset((None, "eager", "sdpa")),
    "dtype": frozenset((None, "auto", "bfloat16", "float16", "float32", "float64")),
    "torch_dtype": frozenset((None, "auto", "bfloat16", "float16", "float32", "float64")),
    "padding_side": frozenset((None, "left", "right")),
    "truncation_side": frozenset((None, "left", "right")),
}
"""Key -> the values it may have."""

_SWITCHES = frozenset(
    (
        *("add_bos_token", "add_eos_token", "add_pooling_layer", "add_special_tokens", "clean_up_tokenization_spaces", "do_lower_case"),
        *("is_causal", "output_hidden_states", "padding", "truncation", "use_bidirectional_attention", "use_cache", "use_fast"),
    )
)
_NUMBERS = frozenset(("max_length", "model_max_length"))


def is_left_out(key: str, value: object) -> bool:
    """Tell whether a setting is none of the model's: transformers' own notes, a path where it was made, a classifier's labels."""
    if key.startswith("_"):
        return not isinstance(value, bool)
    return key in _LABELS or (isinstance(value, (str, list)) and _LOCATION.fullmatch(key) is not None)


def is_allowed(key: str, value: object) -> bool:
    """Tell whether a setting of a transformers configuration may be what it is; most may be anything."""
    if key in _ONE_OF:
        return not isinstance(value, (dict, list)) and value in _ONE_OF[key]
    if key in _WORD_SPLITTER:
        return value is None or (isinstance(value, dict) and all(not isinstance(item, str) or is_word(item) for item in value.values()))
    return key not in ELSEWHERE or value in (None, False, "", [], {})


def is_known_class(key: str, value: object) -> bool:
    """Tell whether a name is that of a tokenizer or processor, not of any other class that transformers could be asked for."""
    return value is None or (isinstance(value, str) and CLASSES[key].fullmatch(value) is not None)


def token(value: dict[str, Any]) -> dict[str, Any]:
    """Return what a token may say of itself."""
    return {key: item for key, item in value.items() if key in TOKEN and isinstance(item, (str, bool, int))}


def is_argument(key: str, value: object) -> bool:
    """Tell whether sentence-transformers may hand a setting on to transformers as an argument of loading or tokenizing."""
    if key in _ONE_OF:
        return is_allowed(key, value)
    if key in _SWITCHES:
        return isinstance(value, bool)
    return key in _NUMBERS and (value is None or type(value) is int)


def is_word(value: object) -> bool:
    """Tell whether a value is a plain identifier."""
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


class Demand(NamedTuple):
    """What a model of transformers takes, roughly, judged by the sizes in its configuration."""

    layers: int
    values: int
    """Numbers in its largest matrix, or in one matrix of each layer."""


def demand(settings: dict[str, Any]) -> Demand:
    """Return what the weights for a configuration of transformers have at least, in one of the configurations in it at most.

    Examples
    --------
    >>> demand({"model_type": "bert", "num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536, "vocab_size": 30522})
    Demand(layers=6, values=11720448)
    """
    numbers = {key: value for key, value in settings.items() if type(value) is int and value > 0}
    width, inner, layers = (max(numbers.get(key, 1) for key in keys) for keys in (_WIDTHS, _INNER_WIDTHS, _DEPTHS))
    largest = max((value for key, value in numbers.items() if _SIZE.fullmatch(key)), default=1)
    copies = 1 if settings.get("model_type") == "albert" else layers  # whose layers share their weights
    demands = [Demand(layers, width * max(largest, copies * width, copies * inner))]
    demands += [demand(value) for value in settings.values() if isinstance(value, dict)]
    return Demand(max(part.layers for part in demands), max(part.values for part in demands))
