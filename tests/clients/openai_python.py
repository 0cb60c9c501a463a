"""The official OpenAI client, unmodified, against OPENAI_BASE_URL: prints what it saw as JSON."""

import json
import sys

import openai

QUESTION = [{"role": "user", "content": "What is a voucher?"}]


def main() -> None:
    client = openai.OpenAI(max_retries=0, timeout=60)
    model = client.models.list().data[0].id
    assert client.models.retrieve(model).id == model
    usages = []

    whole = client.chat.completions.create(model=model, messages=QUESTION)
    usages.append(whole.usage)
    text = whole.choices[0].message.content
    assert text, "an empty answer"

    streamed = ""
    with client.chat.completions.create(
        model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    ) as stream:
        for chunk in stream:
            if chunk.choices:
                streamed += chunk.choices[0].delta.content or ""
            if chunk.usage:
                usages.append(chunk.usage)
    assert streamed == text, (streamed, text)

    completion = client.completions.create(model=model, prompt="Once upon a time", max_tokens=6)
    usages.append(completion.usage)
    assert completion.choices[0].finish_reason == "length", completion

    refusals = []
    for wrong in ({"model": "gpt-4o"}, {"model": model, "n": 2}):
        try:
            client.chat.completions.create(messages=QUESTION, **wrong)
        except openai.APIStatusError as error:
            refusals.append([type(error).__name__, error.status_code, error.code])
    seen = {
        "text": text,
        "refusals": refusals,
        "usages": [[u.prompt_tokens, u.completion_tokens, u.total_tokens] for u in usages],
    }
    json.dump(seen, sys.stdout)


main()
