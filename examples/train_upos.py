"""Train a part-of-speech tagger for English with the script of Flair's tutorial; without a network, on bundled data."""

from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import DataUnavailableError
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer


def warn(error: DataUnavailableError) -> None:
    """Print why data is missing, and that bundled data replaces it."""
    print(error)
    print("\n" + "!" * 100)
    print("!!! NO DATA: training on the bundled sample instead. The scores below say nothing about UD_English-EWT.")
    print("!" * 100 + "\n")


# 1. load the corpus
try:
    corpus = UD_ENGLISH().downsample(0.1)
except DataUnavailableError as error:
    warn(error)
    corpus = SAMPLE_ENGLISH()
print(corpus)

# 2. what label do we want to predict?
label_type = "upos"

# 3. make the label dictionary from the corpus
label_dict = corpus.make_label_dictionary(label_type=label_type)
print(label_dict)

# 4. initialize embeddings
try:
    embeddings = WordEmbeddings("glove")
except DataUnavailableError as error:
    warn(error)
    embeddings = WordEmbeddings("glove-mini")

# 5. initialize sequence tagger
model = SequenceTagger(hidden_size=256, embeddings=embeddings, tag_dictionary=label_dict, tag_type=label_type)
print(model)

# 6. initialize trainer
trainer = ModelTrainer(model, corpus)

# 7. start training
trainer.train("resources/taggers/example-upos", learning_rate=0.1, mini_batch_size=32, max_epochs=10)
print("Saved in resources/taggers/example-upos. Predict with examples/predict.py")
