"""For every preset: neither padding nor neighbours change a sample, and generation of any kind gives what single, uncached passes give."""

import pytest
import torch
from preset_cases import REAL, TOLERANCE, WORDS, batch_of, logits, model_of, tokenizer, toy

NEW_TOKENS = 5
NEVER = 10**6  # an end of turn that no model can say


@pytest.fixture(params=REAL)
def name(request):
    return request.param


def mixture(model, counts=(2, 4, 1)):
    """Samples of several view counts and question lengths."""
    return [toy(model.config, 10 + index, views, question=3 + 2 * index) for index, views in enumerate(counts)]


def silent() -> list[int]:
    """Special tokens, which a model with random weights says and a full pass over its words could not place."""
    return list(range(WORDS.start))


def generated(model, samples, **options) -> torch.Tensor:
    """`(B, new tokens)` after left-padded prompts, greedy unless told."""
    batch = batch_of(model, samples, padding_side="left", with_answer=False)
    chosen = {
        "max_new_tokens": NEW_TOKENS,
        "do_sample": False,
        "pad_token_id": tokenizer().pad_token_id,
        "suppress_tokens": silent(),
        **options,
    }
    found = model.generate(**batch.inputs, **chosen)
    return found[:, batch.inputs["input_ids"].shape[1] :]


@pytest.mark.parametrize("padding_side", ["right", "left"])
def test_padding_neighbours_and_view_counts_do_not_change_a_sample(name, padding_side):
    model = model_of(name)
    samples = mixture(model)
    together = batch_of(model, samples, padding_side=padding_side, extra_pad=3)
    outputs = logits(model, together.inputs)
    turned = batch_of(model, samples[::-1], padding_side=padding_side)
    backwards = logits(model, turned.inputs)
    for row, sample in enumerate(samples):
        alone = logits(model, batch_of(model, [sample]).inputs)[0]
        of_row = outputs[row][together.inputs["attention_mask"][row].bool()]
        assert (of_row - alone).abs().max() <= TOLERANCE
        of_row = backwards[len(samples) - 1 - row][turned.inputs["attention_mask"][len(samples) - 1 - row].bool()]
        assert (of_row - alone).abs().max() <= TOLERANCE


def test_a_question_without_views_shares_a_batch_with_questions_about_views(name):
    model = model_of(name)
    samples = [toy(model.config, 1, 0), toy(model.config, 2, 2)]
    outputs = logits(model, batch_of(model, samples).inputs)
    for row, sample in enumerate(samples):
        alone = logits(model, batch_of(model, [sample]).inputs)[0]
        assert (outputs[row, : len(alone)] - alone).abs().max() <= TOLERANCE


def test_left_padded_generation_gives_what_each_question_gets_alone(name):
    model = model_of(name)
    samples = mixture(model)
    together = generated(model, samples)
    assert together.shape == (3, NEW_TOKENS)
    for row, sample in enumerate(samples):
        alone = generated(model, [sample])[0]
        assert together[row, : len(alone)].tolist() == alone.tolist()


def test_cached_generation_gives_the_logits_of_a_full_pass_at_every_step(name):
    model = model_of(name)
    samples = mixture(model, (2, 1))
    batch = batch_of(model, samples, padding_side="left", with_answer=False)
    found = model.generate(
        **batch.inputs,
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
        eos_token_id=NEVER,
        suppress_tokens=silent(),
    )
    inputs = dict(batch.inputs)
    start = inputs["input_ids"].shape[1]
    for step, of_step in enumerate(found.logits):
        full = logits(model, inputs)[:, -1]
        assert (full - of_step).abs().max() <= TOLERANCE, f"step {step}"
        token = found.sequences[:, start + step : start + step + 1]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], token], dim=1)
        for key, value in (("attention_mask", 1), ("mm_token_type_ids", 0)):
            inputs[key] = torch.cat([inputs[key], torch.full_like(token, value)], dim=1)


def test_beams_and_several_replies_keep_each_question_with_its_own_views(name):
    model = model_of(name)
    samples = mixture(model, (2, 1))
    together = generated(model, samples, num_beams=3, num_return_sequences=2, eos_token_id=NEVER)
    assert together.shape == (4, NEW_TOKENS)
    for row, sample in enumerate(samples):
        alone = generated(model, [sample], num_beams=3, num_return_sequences=2, eos_token_id=NEVER)
        assert together[2 * row : 2 * row + 2].tolist() == alone.tolist()
    assert generated(model, samples, num_beams=1, eos_token_id=NEVER).tolist() == generated(model, samples, eos_token_id=NEVER).tolist()


def test_sampling_several_replies_is_decided_by_the_seed(name):
    model = model_of(name)
    samples = mixture(model, (2, 1))
    replies = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        replies.append(generated(model, samples, do_sample=True, temperature=2.0, num_return_sequences=3, eos_token_id=NEVER).tolist())
    assert replies[0] == replies[1] != replies[2]


def test_generation_stops_at_the_end_of_the_turn_and_pads_the_rest(name):
    model = model_of(name)
    sample = mixture(model, (2,))[0]
    reply = generated(model, [sample], eos_token_id=NEVER)[0].tolist()
    stop = next((token for token in reply[1:] if token != reply[0]), reply[0])
    cut = generated(model, [sample], eos_token_id=stop)[0].tolist()
    assert cut == reply[: reply.index(stop) + 1]


def test_generation_goes_on_from_a_cache_without_the_pixels(name):
    model = model_of(name)
    batch = batch_of(model, mixture(model, (2, 1)), padding_side="left", with_answer=False)
    chosen = {"do_sample": False, "eos_token_id": NEVER, "suppress_tokens": silent()}
    whole = model.generate(**batch.inputs, max_new_tokens=4, **chosen)
    part = model.generate(**batch.inputs, max_new_tokens=2, return_dict_in_generate=True, **chosen)
    inputs = batch.but(input_ids=part.sequences, pixel_values=None, pixel_values_videos=None)
    for key, value in (("attention_mask", 1), ("mm_token_type_ids", 0)):
        inputs[key] = torch.cat([inputs[key], torch.full_like(part.sequences[:, :2], value)], dim=1)
    rest = model.generate(**inputs, past_key_values=part.past_key_values, max_new_tokens=2, **chosen)
    assert rest.tolist() == whole.tolist()
