"""The training text: chats of one to several turns, drawn from a fixed mixture."""

import random

import facts
import stories

# Share of the turns; long stories are few because each is ten times as long as an answer.
MIXTURE = [(facts.word, 28), (facts.answer, 14), (facts.sums, 22), (facts.lookup, 12), (facts.unknown, 10),
           (stories.story, 13), (stories.long_story, 4)]
# Share of questions typed without capitals and full stops.
SLOPPY = 0.15
SYSTEM = ["You are a helpful assistant.", "Be brief.", "You are Capstan Tiny.", "Answer in English.", "You are a friendly guide. Keep your answers short."]

Chat = list[tuple[str, str]]


def chat(rng: random.Random) -> Chat:
    """One conversation as (role, content) pairs; it always ends with the assistant."""
    kinds, weights = zip(*MIXTURE)
    turns = rng.choices([1, 2, 3, 6], [60, 20, 14, 6])[0]
    out: Chat = [("system", rng.choice(SYSTEM))] if rng.random() < 0.2 else []
    for kind in rng.choices(kinds, weights, k=turns):
        ask, reply = kind(rng)
        if rng.random() < SLOPPY:
            ask = ask.lower().rstrip(".?!")
        out += [("user", ask), ("assistant", reply)]
    return out


def chats(count: int, seed: int) -> list[Chat]:
    """The same `count` conversations for the same seed."""
    rng = random.Random(seed)
    return [chat(rng) for _ in range(count)]
