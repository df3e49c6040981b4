"""The small tokenizer reads and writes any text, numbers place by place, and does not depend on the order of its texts."""

from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TEXTS

from sightline.models.tokenizer import SPECIAL_TOKENS, train_tokenizer

TOKENIZER = train_tokenizer(TEXTS, vocab_size=340)


def ids_of(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from([*SPECIAL_TOKENS, "dot", " 2.31", "\n", "é", "家"]), max_size=8).map("".join))
def test_any_text_comes_back_and_holds_no_special_token(text):
    ids = ids_of(text)
    assert TOKENIZER.decode(ids) == text
    assert not set(ids) & set(TOKENIZER.convert_tokens_to_ids(list(SPECIAL_TOKENS)))


@given(st.integers(0, 10**9))
@settings(max_examples=30, deadline=None)
def test_every_digit_is_a_token_of_its_own(number):
    assert TOKENIZER.convert_ids_to_tokens(ids_of(str(number))) == list(str(number))


def test_words_of_the_training_texts_are_whole_tokens():
    assert len(ids_of(" camera")) == 1 and len(ids_of(" zyzzyva")) > 2


def test_the_order_and_number_of_equal_texts_change_nothing():
    again = train_tokenizer([*reversed(TEXTS), TEXTS[0], TEXTS[0]], vocab_size=340)
    assert again.get_vocab() == TOKENIZER.get_vocab()
    assert again.backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()


def test_special_tokens_come_first_and_end_and_padding_differ():
    assert TOKENIZER.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    assert TOKENIZER.eos_token == "<|im_end|>" and TOKENIZER.pad_token == "<|endoftext|>"
