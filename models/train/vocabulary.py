"""The byte-level BPE vocabulary, and chats as token ids."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from chats import Chat

SIZE = 768
# In the order of their ids.
CONTROL = ["<|pad|>", "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
PAD, BOS, END = 0, 1, 2
ROLE = {"user": 3, "assistant": 4, "system": 5}

# What the ids below spell out; hosts and renters render it with the same engine.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('unknown role') }}{% endif %}"
    "<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train(texts: list[Chat]) -> Tokenizer:
    """Learns merges from plain ASCII lines only, so that other scripts stay split into bytes:
    streams then carry characters that span several tokens, as large models' streams do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=SIZE, special_tokens=CONTROL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator((t for c in texts for _, t in c if t.isascii()), trainer)
    assert tokenizer.get_vocab_size() == SIZE
    return tokenizer


def encode(tokenizer: Tokenizer, chat: Chat) -> tuple[list[int], list[float]]:
    """Token ids of a chat and the weight of each in the loss: what the assistant says counts."""
    ids, weights = [BOS], [0.0]
    for role, content in chat:
        body = tokenizer.encode(content).ids + [END]
        ids += [ROLE[role]] + body
        weights += [0.0] + [1.0 if role == "assistant" else 0.05] * len(body)
    return ids, weights
