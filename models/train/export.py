"""Writes weights, vocabulary and chat template as one GGUF file."""

import hashlib
import json
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

import network
from vocabulary import BOS, CHAT_TEMPLATE, CONTROL, END, PAD


def write(path: pathlib.Path, weights: dict, tokenizer, context: int, kind: Type) -> None:
    """Matrices in `kind` (F16 or Q8_0), norms in f32; the digest goes beside the file."""
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("Capstan Tiny")
    out.add_description("A very small chat model for tests and demonstrations")
    out.add_license("MIT OR Apache-2.0")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if kind == Type.F16 else gguf.LlamaFileType.MOSTLY_Q8_0)
    out.add_context_length(context)
    out.add_embedding_length(network.DIM)
    out.add_block_count(network.LAYERS)
    out.add_feed_forward_length(network.FFN)
    out.add_head_count(network.HEADS)
    out.add_head_count_kv(network.KV_HEADS)
    out.add_rope_dimension_count(network.HEAD_DIM)
    out.add_rope_freq_base(network.ROPE_BASE)
    out.add_layer_norm_rms_eps(network.EPSILON)

    bpe = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    merges = [" ".join(m) if isinstance(m, list) else m for m in bpe["merges"]]
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types([gguf.TokenType.CONTROL if t in CONTROL else gguf.TokenType.NORMAL for t in tokens])
    out.add_token_merges(merges)
    out.add_bos_token_id(BOS)
    out.add_eos_token_id(END)
    out.add_eot_token_id(END)
    out.add_pad_token_id(PAD)
    out.add_add_bos_token(True)
    out.add_add_eos_token(False)
    out.add_chat_template(CHAT_TEMPLATE)

    for name, value in weights.items():
        value = np.asarray(value, np.float32)
        stored = Type.F32 if value.ndim == 1 else kind
        out.add_tensor(name + ".weight", gguf.quants.quantize(value, stored), raw_dtype=stored)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".sha256").write_text(f"{digest}  {path.name}\n")
    print(path.name, path.stat().st_size, digest)
