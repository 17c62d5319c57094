"""Train a classifier of reviews on the bundled sample, and predict. `train_classifier.py 2` trains two epochs only."""

import sys

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_REVIEWS
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.models import TextClassifier
from flairlite.trainers import ModelTrainer

# 1. the corpus: for your own files, ClassificationCorpus("folder", label_type="sentiment")
corpus = SAMPLE_REVIEWS()
print(corpus)

# 2. the labels
label_dict = corpus.make_label_dictionary("sentiment")
print(label_dict)

# 3. a vector for each text: the mean of what a layer that learns makes of those of its words
embeddings = DocumentPoolEmbeddings([WordEmbeddings("glove-mini")], fine_tune_mode="nonlinear")

# 4. the model
classifier = TextClassifier(embeddings, label_type="sentiment", label_dictionary=label_dict)

# 5. training, with a report for each label
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
ModelTrainer(classifier, corpus).train("resources/classifiers/example-reviews", mini_batch_size=8, max_epochs=epochs)

# 6. prediction with the model that was saved
classifier = TextClassifier.load("resources/classifiers/example-reviews/best-model.pt")
sentence = Sentence("The soup was cold and the waiter rude, but the dessert made up for it.")
classifier.predict(sentence)
print(sentence)
print(sentence.get_label("sentiment").value, round(sentence.get_label("sentiment").score, 2))
