"""Train a classifier of reviews on the bundled sample, and predict. `train_classifier.py 2` trains two epochs only."""

import sys

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_REVIEWS
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.models import TextClassifier
from flairlite.trainers import ModelTrainer

# 1. load the corpus; for your own files: ClassificationCorpus("folder", label_type="sentiment")
corpus = SAMPLE_REVIEWS()
print(corpus)

# 2. make the label dictionary from the corpus
label_dict = corpus.make_label_dictionary("sentiment")
print(label_dict)

# 3. initialize embeddings: the mean of the word vectors after a trainable layer
embeddings = DocumentPoolEmbeddings([WordEmbeddings("glove-mini")], fine_tune_mode="nonlinear")

# 4. initialize text classifier
classifier = TextClassifier(embeddings, label_type="sentiment", label_dictionary=label_dict)

# 5. train; the log ends with the scores by label
base_path = "resources/classifiers/example-reviews"
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
ModelTrainer(classifier, corpus).train(base_path, mini_batch_size=8, max_epochs=epochs)
print(f"Saved in {base_path}")

# 6. predict with the saved model
classifier = TextClassifier.load(f"{base_path}/best-model.pt")
sentence = Sentence("The soup was cold and the waiter rude, but the dessert made up for it.")
classifier.predict(sentence)
print(sentence)
print(sentence.get_label("sentiment").value, round(sentence.get_label("sentiment").score, 2))
