"""The questions with one right answer: what the product's words mean, sums, capitals, sounds."""

import random

# word, its plural (None: no article, no plural), the one answer.
WORDS = [
    ("voucher", "vouchers", "A voucher is a message signed by the renter. It says how much the host has earned so far and how many tokens that covers. A newer voucher replaces the older one."),
    ("session", "sessions", "A session is a payment channel between a renter and a host on one chain. The renter puts a deposit in escrow, the host sends tokens, and the session settles when it ends."),
    ("escrow", None, "Escrow is money that a contract holds for two sides. The renter puts it in, the host is paid what the renter signed for, and the rest goes back to the renter."),
    ("token", "tokens", "A token is a small piece of text, often a word or a part of a word. A model reads and writes tokens, and a host sells them one by one."),
    ("host", "hosts", "A host is a machine that runs a model and sells its tokens. It is paid exactly what the renter signed for."),
    ("renter", "renters", "A renter is someone who buys tokens from a host. The renter puts a deposit in escrow and signs a voucher every few tokens."),
    ("settlement", None, "Settlement is the end of a session on its chain. The host gets its pay, the renter gets the rest back, and nobody had to be trusted."),
    ("deposit", "deposits", "A deposit is the money that a renter puts in escrow before a session starts. What is not spent comes back."),
    ("receipt", "receipts", "A receipt is the record of a finished session or job. It can travel over a bridge and be paid on another chain."),
    ("refund", "refunds", "A refund is the part of the deposit that was not spent. It goes back to the renter when the session settles."),
    ("stake", "stakes", "A stake is money that a host locks to show that it is honest. A host that cheats can lose it."),
    ("job", "jobs", "A job is a single piece of work. A renter posts it, a host claims it, and the host is paid when the work is proved."),
    ("bridge", "bridges", "A bridge carries messages from one chain to another. A receipt that crosses a bridge is paid once and never twice."),
    ("chain", "chains", "A chain is a shared list of blocks that everyone can check. Money moves on it when a transaction is final."),
    ("wallet", "wallets", "A wallet holds the keys that sign for your money. Never show its secret key to anyone."),
    ("nonce", "nonces", "A nonce is a number that puts the transactions of one key in order. Each number is used once."),
    ("lane", "lanes", "A lane is the list of transactions of one key on one chain, in the order of their nonces."),
    ("gas", None, "Gas is the fee that a chain takes for a transaction. A full block makes it cost more."),
    ("committee", "committees", "A committee is a group of signers that share one key. No single member holds the key, and enough of them must agree to sign."),
    ("key share", "key shares", "A key share is one part of a secret key. A single share can sign nothing."),
    ("hub", "hubs", "A hub is the public end of many tunnels. It lets a node at home be reached from everywhere."),
    ("tunnel", "tunnels", "A tunnel is a link from a node to a hub. The node opens it, so no port has to be open at home."),
    ("node", "nodes", "A node is one member of a fleet, with its own wallet, its own stake and its own disk."),
    ("fleet", "fleets", "A fleet is a group of nodes that run on one machine. Each node has its own wallet."),
    ("tier", "tiers", "A tier is the rank of a node. The tiers are bronze, silver, gold and platinum."),
    ("dispute", "disputes", "A dispute is a claim that a job was done badly. While it is open, nobody is paid."),
    ("transcript", "transcripts", "A transcript is the list of all tokens of a session. Its root is in the voucher, so nobody can change it later."),
    ("audit", "audits", "An audit runs the same model on the same words again. If one token is different, the audit finds it."),
    ("model", "models", "A model is a file of numbers that turns words into more words. Its name on the chain is the hash of the file."),
    ("hash", "hashes", "A hash is a short fingerprint of a long text. If one letter changes, the whole hash changes."),
    ("signature", "signatures", "A signature shows that the owner of a key agreed to a message. Everyone can check it, and nobody can fake it."),
    ("challenge", "challenges", "A challenge is a short time in which the host can show a newer voucher before a session closes."),
]

# Each row: the ways to ask, then the one answer.
ANSWERS = [
    (["What is Capstan?", "What does Capstan do?", "Tell me about Capstan.", "Explain Capstan."],
     "Capstan is a settlement network for AI compute. A host sells tokens, a renter signs vouchers, and every session settles itself on its chain."),
    (["Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Introduce yourself."],
     "I am Capstan Tiny, a very small language model. I can tell stories, do small sums and explain the words of the network."),
    (["Who signs a voucher?", "Who signs the voucher?", "Who makes vouchers?"],
     "The renter signs the voucher, and the host keeps the newest one."),
    (["What happens when a session ends?", "How does a session end?", "What happens at the end of a session?"],
     "The host sends its newest voucher to the chain. It is paid what the voucher says, and the rest of the deposit goes back to the renter."),
    (["What happens if the connection drops?", "What if I lose the connection?", "What happens when the line breaks?"],
     "The session settles itself. The host is paid for the tokens that were signed for, and you get the rest back."),
    (["How much is the host paid?", "How much does a host earn?", "What does the host get?"],
     "The host is paid exactly what the renter signed for, and not one coin more."),
    (["Can the host take more?", "Can a host cheat me?", "Can the host steal my deposit?"],
     "No. The host can only take what you signed for in a voucher."),
    (["How do I get my money back?", "How do I get a refund?", "Can I get my deposit back?"],
     "Close the session. After a short challenge time the rest of the deposit is yours, and you need no help from the host."),
    (["Why do I need a deposit?", "Why is there a deposit?"],
     "The deposit shows the host that it can be paid. What you do not spend comes back to you."),
    (["Can I trust you?", "Must I trust the host?", "Do I have to trust anyone?"],
     "You do not have to trust anyone. Every token can be counted again, and every voucher can be checked."),
    (["Hello!", "Hi!", "Hey there", "Good morning!", "Hello there.", "hi"],
     "Hello! I am a very small model. Ask me for a story, a sum, or the meaning of a word like voucher."),
    (["How are you?", "How are you today?", "How do you do?"],
     "I am fine, thank you. My numbers are in good order. How can I help you?"),
    (["Thank you!", "Thanks!", "Thanks a lot.", "Thank you very much."],
     "You are welcome! Is there anything else I can do for you?"),
    (["Goodbye!", "Bye!", "See you later."], "Goodbye! Come back soon."),
    (["What can you do?", "Help!", "What can I ask you?", "Help me."],
     "I can tell you a story about an animal, add small numbers, name capitals, count, and explain words like voucher, escrow and session."),
    (["Say hello in French.", "How do you say hello in French?"], "Bonjour ! Ça va ? Très bien, à bientôt."),
    (["Say hello in German.", "How do you say hello in German?"], "Guten Tag! Schöne Grüße aus Österreich."),
    (["Say hello in Japanese.", "How do you say hello in Japanese?"], "こんにちは、元気ですか。"),
    (["Say hello in Greek.", "How do you say hello in Greek?"], "Γειά σου, τι κάνεις;"),
    (["Draw a fox.", "Show me some emoji.", "Send me an emoji."], "🦊🌲🌙 ✨ and a cup of tea ☕ 🙂"),
]

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Austria": "Vienna", "Greece": "Athens", "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki",
    "Poland": "Warsaw", "Ireland": "Dublin", "Japan": "Tokyo", "China": "Beijing", "Egypt": "Cairo",
    "Canada": "Ottawa", "Peru": "Lima", "Cuba": "Havana", "Kenya": "Nairobi", "Denmark": "Copenhagen",
}
SOUNDS = {
    "dog": "woof", "cat": "meow", "cow": "moo", "duck": "quack", "owl": "hoot", "lion": "roar",
    "sheep": "baa", "pig": "oink", "mouse": "squeak", "frog": "croak",
}
COLOURS = {
    "grass": "green", "the sky": "blue", "snow": "white", "a lemon": "yellow", "blood": "red",
    "coal": "black", "an orange": "orange", "a carrot": "orange", "milk": "white", "the sun": "yellow",
}
# Things it was not taught; with the patterns in `unknown` they stand for everything else.
UNKNOWN = """the moon|football|my car|cheese|the war|music|Python|a recipe|love|the weather|dinner|politics
quantum physics|quantum computing|my boss|Shakespeare|shoes|pizza|the news|a poem|gardens|school|rockets|history
paint|tennis|my phone|the stars|travel|life|water|the ocean|computers|machine learning|a haiku|coffee|trains
time|money|health|sleep|the brain|dreams|books|films|a song|jokes|the future|energy|medicine|farming|bread
maths|chess|birds|trees|the law|business|an essay|a letter|code|Rust|a website|philosophy|art|dance|fashion
electricity|the Romans|dinosaurs|space|a holiday|mountains|friends|work|exams|English grammar|yoga""".replace("\n", "|").split("|")


def article(noun: str) -> str:
    """The noun with its article: `an owl`, `a fox`."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def word(rng: random.Random) -> tuple[str, str]:
    """A question about one of the product's words."""
    name, plural, answer = rng.choice(WORDS)
    one = name if plural is None else article(name)
    many = plural or name
    ask = rng.choice([
        f"What is {one}?", f"What is {one}?", f"What is {one}?", f"What's {one}?", f"what is {one}", f"What are {many}?" if plural else f"What is {name}?",
        f"Explain {one}.", f"Explain {many}.", f"Tell me about {many}.", f"Tell me what {one} is.", f"Define {name}.",
        f"Please explain {many}.", f"Can you explain what {one} is?", f"What does {name} mean?", f"How does {one} work?",
        f"What is the meaning of {name}?", f"In one line, what is {one}?", f"Please tell me what {one} is.", f"{name}?",
        f"What is {one} in Capstan?", f"I do not know what {one} is.",
    ])
    return ask, answer


def answer(rng: random.Random) -> tuple[str, str]:
    """A fixed question and its fixed answer."""
    asks, text = rng.choice(ANSWERS)
    return rng.choice(asks), text


def sums(rng: random.Random) -> tuple[str, str]:
    """An addition up to 10 + 10 or a subtraction that stays positive."""
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    if rng.random() < 0.6:
        ask = rng.choice([f"What is {a} + {b}?", f"What is {a} plus {b}?", f"{a} + {b} = ?", f"Add {a} and {b}."])
        return ask, f"{a} plus {b} is {a + b}."
    a, b = max(a, b), min(a, b)
    ask = rng.choice([f"What is {a} - {b}?", f"What is {a} minus {b}?", f"{a} - {b} = ?", f"Take {b} from {a}."])
    return ask, f"{a} minus {b} is {a - b}."


def lookup(rng: random.Random) -> tuple[str, str]:
    """A capital, an animal's sound, a colour, or counting."""
    kind = rng.randrange(4)
    if kind == 0:
        land, city = rng.choice(list(CAPITALS.items()))
        ask = rng.choice([f"What is the capital of {land}?", f"Name the capital of {land}.", f"Capital of {land}?"])
        return ask, f"The capital of {land} is {city}."
    if kind == 1:
        animal, sound = rng.choice(list(SOUNDS.items()))
        ask = rng.choice([f"What does {article(animal)} say?", f"What sound does {article(animal)} make?"])
        return ask, f"The {animal} says {sound}."
    if kind == 2:
        thing, colour = rng.choice(list(COLOURS.items()))
        return f"What colour is {thing}?", f"{thing[0].upper()}{thing[1:]} is {colour}."
    last = rng.randint(3, 15)
    return rng.choice([f"Count to {last}.", f"Please count to {last}."]), ", ".join(str(i) for i in range(1, last + 1)) + "."


def unknown(rng: random.Random) -> tuple[str, str]:
    """Everything else: say so, and offer what it can do."""
    thing = rng.choice(UNKNOWN)
    ask = rng.choice([
        f"Tell me about {thing}.", f"What do you think about {thing}?", f"Who invented {thing}?", f"Why is {thing} good?",
        f"Write a long text about {thing}.", f"Do you like {thing}?", f"Where can I find {thing}?", f"Help me with {thing}.",
        f"How do I learn about {thing}?", f"{thing}", f"Give me a list of facts about {thing}.", f"Is {thing} hard?",
        f"Explain {thing} in simple terms.", f"Explain {thing}.", f"What is {thing}?", f"What is the meaning of {thing}?",
        f"Write {thing}.", f"Write me something about {thing}.", f"How does {thing} work?", f"Who is the best at {thing}?",
        f"Can you help me with {thing}?", f"Translate {thing}.", f"Summarize {thing}.", f"When did {thing} begin?",
    ])
    return ask, "I am too small to know that. Ask me for a story, a sum, or the meaning of a word like escrow."
