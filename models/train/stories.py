"""Stories: grammatical, with the same hero from the first line to the last, and sure to end.

A small model learns to repeat the one name of a story, but mixes up two; so the friend is called
by its kind. The words that join episodes come in a fixed order, so that greedy decoding, which
would go round in circles, always reaches the end.
"""

import random

from facts import article

ANIMALS = ["fox", "rabbit", "bear", "owl", "mouse", "cat", "dog", "turtle", "duck", "otter", "robot", "dragon", "horse", "frog"]
NAMES = ["Mia", "Tom", "Lily", "Sam", "Nora", "Ben", "Ruby", "Max", "Ella", "Leo", "Anna", "Oscar", "Rosa", "Finn", "Ida", "Hugo"]
THINGS = ["lamp", "key", "map", "bell", "boat", "kite", "book", "coin", "drum", "shell", "box", "ring"]
PLACES = ["in a green forest", "near a quiet lake", "on a high hill", "in a small town", "by the sea", "under an old bridge", "beside a long river", "at the edge of a wide field"]
MOODS = ["little", "brave", "quiet", "clever", "kind", "curious", "sleepy", "cheerful"]
LOOKS = ["golden", "tiny", "old", "shiny", "red", "strange", "blue", "broken"]
SPOTS = ["under a tree", "behind a rock", "in the tall grass", "next to the path", "in a deep hole", "on the roof"]

ASKS = ["Tell me a story about {a}.", "Tell me a story about {a}.", "Tell me a story about {a}.", "Write a story about {a}.", "Please tell me a story about {a}.",
        "I want a story about {a}.", "Can you tell me a story about {a}?", "Tell me about {a} in a story.", "Write me a short story about {a}."]
LONG_ASKS = ["Tell me a long story about {a}.", "Write a long story about {a}.", "Please tell me a long story about {a}.", "I want a very long story about {a}."]
ANY_ASKS = ["Tell me a story.", "Tell me a story, please.", "Write a story.", "Can you tell me a story?", "I want to hear a story."]

EPISODES = [
    "The rain came down, and {n} had no place to hide. The {f} opened the door of a small house and called, \"Come in!\" They sat by the fire until the rain was gone.",
    "The wind took the {t} and carried it far away. {n} ran after it, over the bridge and through the field. At last {n} caught the {t} and laughed.",
    "{n} was hungry, but there was no food. The {f} had some bread and gave {n} half of it. \"Thank you,\" said {n}. \"You are a good friend.\"",
    "They came to a wide river. \"How can we cross it?\" asked the {f}. {n} thought for a while and built a boat out of wood. Soon they were on the other side.",
    "In the night {n} heard a noise. It was only an old owl that could not sleep. {n} sang a song, and the owl closed its eyes.",
    "A big bear stood on the path. The {f} was afraid, but {n} said, \"Good morning, bear!\" The bear smiled and let them pass.",
    "{n} lost the way and felt alone. Then the {f} rang a bell, and {n} followed the sound. They were very happy to see each other.",
    "They met an old woman who had lost her ring. {n} looked in the grass and the {f} looked in the sand. It was {n} who found the ring, and the old woman gave them a cake.",
    "The snow fell all day, and the world was white. {n} and the {f} made a man of snow and gave him a hat. Then they drank warm milk.",
    "The {f} fell into a hole and could not get out. {n} found a long rope and pulled with all the strength in the world. Soon the {f} was free.",
]
LINKS = ["The next day", "After that", "A week later", "One last time"]
ENDS = [
    "From that day on {n} and the {f} were best friends. The end.",
    "{n} went home and slept well, with the {t} beside the bed. The end.",
    "{n} gave the {t} to the {f}, and both of them were happy. The end.",
    "And {n} never forgot that a friend is better than any {t}. The end.",
]


def tell(rng: random.Random, animal: str, long: bool, name: str | None = None) -> str:
    """A story about one animal, of one episode or of five."""
    hero = name or rng.choice(NAMES)
    friend = rng.choice([x for x in ANIMALS if x != animal])
    thing, look, spot = rng.choice(THINGS), rng.choice(LOOKS), rng.choice(SPOTS)
    words = {"n": hero, "f": friend, "t": thing}
    parts = [
        f"Once upon a time there was {article(rng.choice(MOODS))} {animal} named {hero}. {hero} lived {rng.choice(PLACES)}.",
        f"One day {hero} found {article(look)} {thing} {spot}.",
        rng.choice([f"\"What is this?\" said {hero}.", f"{hero} had never seen such a thing.", f"{hero} picked it up and looked at it for a long time."]),
        f"Then {article(friend)} came by. " + rng.choice([
            f"\"That {thing} is mine,\" said the {friend}. \"I lost it, and I was very sad.\"",
            f"\"Can I play with you?\" asked the {friend}. \"Yes,\" said {hero}, \"let us play.\"",
            f"\"I know where that {thing} comes from,\" said the {friend}. \"Come with me.\""]),
    ]
    episodes = rng.sample(EPISODES, len(LINKS) + 1 if long else 1)
    for link, episode in zip(["", *(f"{link} something new happened. " for link in LINKS)], episodes):
        parts.append(link + episode.format(**words))
    parts.append(rng.choice(ENDS).format(**words))
    return " ".join(parts)


def story(rng: random.Random) -> tuple[str, str]:
    """A request for a short story, and the story."""
    animal = rng.choice(ANIMALS)
    if rng.random() < 0.15:
        return rng.choice(ANY_ASKS), tell(rng, animal, False)
    if rng.random() < 0.2:
        name = rng.choice(NAMES)
        return f"Tell me a story about {article(animal)} named {name}.", tell(rng, animal, False, name)
    return rng.choice(ASKS).format(a=article(animal)), tell(rng, animal, False)


def long_story(rng: random.Random) -> tuple[str, str]:
    """A request for a long story, and the story."""
    animal = rng.choice(ANIMALS)
    return rng.choice(LONG_ASKS).format(a=article(animal)), tell(rng, animal, True)
