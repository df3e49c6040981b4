"""transformers' own common model tests, made to run on the tiny sibling of a preset; and those that do not apply, with the reason."""

import importlib
import os
import sys
import unittest
from pathlib import Path

import torch
from preset_cases import batch_of, model_of, toy

from sightline.models.config import SpatialVLConfig
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

VARIABLE = "SIGHTLINE_TRANSFORMERS_TESTS"  # a checkout of transformers, of the installed version
PER_PATCH = ("pixel_values", "pixel_values_videos")
DRAFTS = "a draft model would have to read the views again; looking drafts up in the prompt needs none and is tested"
NOT_APPLICABLE = {
    "test_assisted_decoding_matches_greedy_search_0_random": DRAFTS,
    "test_assisted_decoding_matches_greedy_search_1_same": DRAFTS,
    "test_assisted_decoding_sample": DRAFTS,
    "test_model_base_model_prefix": "there is no bare body under one name: the body and the head are those of the backbone",
    "test_num_layers_is_small": "three layers, because two DeepStack levels of Qwen3-VL need more layers than levels",
}

ALWAYS_CACHED = "generation from embeddings always caches, whatever it is told, so its steps are of one token"
NOT_FOR_PREFIXES = {
    "test_beam_sample_generate_dict_output": ALWAYS_CACHED,
    "test_beam_search_generate_dict_output": ALWAYS_CACHED,
    "test_greedy_generate_dict_outputs": ALWAYS_CACHED,
    "test_sample_generate_dict_output": ALWAYS_CACHED,
}

NOT_FOR_UNTIED = {
    "test_tied_weights_keys": "whether embeddings are tied is said in backbone_config, which the test does not change",
}


def not_applicable(config: SpatialVLConfig) -> dict[str, str]:
    """Names of common tests that a design cannot pass, with the reason."""
    others = {} if config.tie_word_embeddings else NOT_FOR_UNTIED
    return {**NOT_APPLICABLE, **others, **(NOT_FOR_PREFIXES if config.makes_prefix else {})}


class Tester:
    """What the common tests ask of a model's own tester: a config, a batch, sizes."""

    def __init__(self, name: str, parent: unittest.TestCase):
        self.name, self.parent = name, parent
        model = model_of(name)
        self.batch = batch_of(model, [toy(model.config, 1, 2), toy(model.config, 2, 2)])
        text = model.config.get_text_config()
        self.batch_size, self.seq_length = self.batch.inputs["input_ids"].shape
        self.encoder_seq_length = self.seq_length
        self.num_hidden_layers, self.hidden_size = text.num_hidden_layers, text.hidden_size
        self.num_attention_heads, self.vocab_size = text.num_attention_heads, text.vocab_size
        self.is_training = True

    def get_config(self) -> SpatialVLConfig:
        """Nothing frozen: the common tests train everything, and look for checkpointing in the first block they find."""
        return SpatialVLConfig.from_dict(model_of(self.name).config.to_dict() | {"frozen": None})

    def prepare_config_and_inputs_for_common(self) -> tuple[SpatialVLConfig, dict[str, torch.Tensor]]:
        return self.get_config(), {name: value.clone() for name, value in self.batch.inputs.items()}


def checkout() -> Path | None:
    """Where the environment says that transformers' tests are."""
    said = os.environ.get(VARIABLE)
    return Path(said) if said else None


def tests_of(name: str) -> type[unittest.TestCase]:
    """The common and the generation tests for one preset."""
    root = str(checkout())
    if root not in sys.path:
        sys.path.insert(0, root)
    modeling = importlib.import_module("tests.test_modeling_common")
    generation = importlib.import_module("tests.generation.test_utils")

    class Common(modeling.ModelTesterMixin, generation.GenerationTesterMixin, unittest.TestCase):
        all_model_classes = (SpatialVLForConditionalGeneration,)
        _is_composite = True

        def setUp(self) -> None:
            self.model_tester = Tester(name, self)

        def _prepare_for_class(self, inputs_dict, model_class, return_labels: bool = False):
            inputs = super()._prepare_for_class(inputs_dict, model_class)
            return {**inputs, "labels": self.model_tester.batch.labels.clone()} if return_labels else inputs

        def prepare_config_and_inputs_for_generate(self, batch_size: int = 2):
            config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
            config.get_text_config().eos_token_id = None
            if batch_size < self.model_tester.batch_size:
                model = model_of(name)
                inputs = batch_of(model, [toy(model.config, 1, 2)]).inputs
            return config, inputs

    for test, reason in not_applicable(model_of(name).config).items():
        if hasattr(Common, test):
            setattr(Common, test, unittest.skip(reason)(getattr(Common, test)))
    words = "".join(part.capitalize() for part in name.replace("-", " ").split())
    Common.__name__ = Common.__qualname__ = f"TransformersTestsOf{words}"
    return Common
