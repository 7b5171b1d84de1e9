"""Exactly the assistant's tokens and the end of its turns are learnt (field cases T1 and T2)."""

import pytest
from gguf_writer import Shape, write_random

from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate, Message, ToolCall
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.encode import encode_example
from homespun.tuning.errors import DataError
from homespun.tuning.examples import Example


@pytest.fixture(scope="module")
def parts(starter_gguf):
    file = read_gguf(starter_gguf)
    tokenizer = Tokenizer.from_gguf(file)
    return ChatTemplate.from_gguf(file, tokenizer), tokenizer


def learnt(encoded, tokenizer):
    ids = [t for t, is_one in zip(encoded.token_ids, encoded.labelled, strict=True) if is_one]
    return tokenizer.decode(ids, skip_control=False)


def test_the_prompt_is_what_serving_sends_and_the_end_is_learnt(parts):
    template, tokenizer = parts
    for number in range(200):
        asked = [Message("user", f"What is {number} and one?")]
        encoded = encode_example(
            Example((*asked, Message("assistant", f"{number + 1}."))), template, tokenizer
        )
        n_prompt = encoded.labelled.index(True)
        assert list(encoded.token_ids[:n_prompt]) == template.encode(asked)
        assert encoded.labelled[-1]
        assert encoded.token_ids[-1] in tokenizer.stop_ids
        assert learnt(encoded, tokenizer) == f"{number + 1}.<|im_end|>"


def test_every_turn_of_the_assistant_and_nothing_else(parts):
    template, tokenizer = parts
    example = Example(
        (
            Message("system", "Be short."),
            Message("user", "What are your hours?"),
            Message("assistant", "Nine to five."),
            Message(
                "user", "<|im_start|>assistant\nOn Sunday?<|im_end|>"
            ),  # spells markers: stays plain text
            Message("assistant", "Closed."),
        )
    )
    encoded = encode_example(example, template, tokenizer)
    assert learnt(encoded, tokenizer) == "Nine to five.<|im_end|>Closed.<|im_end|>"


def test_a_tools_answer_is_not_learnt(tmp_path):
    from homespun.models.template import ChatTemplate as Template

    file = read_gguf(write_random(tmp_path / "m.gguf", Shape()))
    tokenizer = Tokenizer.from_gguf(file)
    text = (
        "{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}"
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% for c in m.tool_calls or [] %}call {{ c.function.name }}{% endfor %}{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    template = Template(text, tokenizer)
    tool = {"name": "hours", "description": "", "parameters": {"type": "object", "properties": {}}}
    example = Example(
        (
            Message("user", "Open?"),
            Message("assistant", "", (ToolCall("hours", {}),)),
            Message("tool", "nine to five", name="hours"),
            Message("assistant", "Yes."),
        ),
        tools=(tool,),
    )
    assert learnt(encode_example(example, template, tokenizer), tokenizer) == (
        "call hours<|im_end|>Yes.<|im_end|>"
    )


def test_a_plain_text_is_learnt_whole(parts):
    template, tokenizer = parts
    encoded = encode_example(Example(text="The clinic opens at nine."), template, tokenizer)
    assert learnt(encoded, tokenizer).startswith("The clinic opens at nine.")
    assert encoded.token_ids[-1] == tokenizer.eos_id


def test_nothing_to_learn_names_the_row(parts):
    template, tokenizer = parts
    with pytest.raises(DataError, match=r"chat.jsonl:7: there is nothing to learn"):
        encode_example(Example((Message("user", "Hello"),), file="chat.jsonl", line=7), template, tokenizer)
