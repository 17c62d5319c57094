"""Fine-tune a transformer as a classifier of reviews on the bundled sample. `fine_tune_classifier.py 1`: one epoch."""

import sys

from small_transformer import find_model

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_REVIEWS
from flairlite.embeddings import TransformerDocumentEmbeddings
from flairlite.models import TextClassifier
from flairlite.trainers import ModelTrainer

# 1. load the corpus
corpus = SAMPLE_REVIEWS()

# 2. make the label dictionary from the corpus
label_dict = corpus.make_label_dictionary("sentiment")

# 3. initialize embeddings: the mean over all subwords, as MiniLM was trained
embeddings = TransformerDocumentEmbeddings(find_model(corpus), cls_pooling="mean")

# 4. initialize text classifier
classifier = TextClassifier(embeddings, label_type="sentiment", label_dictionary=label_dict)

# 5. fine-tune
base_path = "resources/classifiers/example-fine-tuned-reviews"
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 6
ModelTrainer(classifier, corpus).fine_tune(base_path, learning_rate=1e-4, mini_batch_size=8, max_epochs=epochs)

# 6. write the model with 16 bits a weight, and predict with it
classifier.save(f"{base_path}/small-model.pt", half_precision=True)
classifier = TextClassifier.load(f"{base_path}/small-model.pt")
sentence = Sentence("The soup was cold and the waiter rude, but the dessert made up for it.")
classifier.predict(sentence)
print(sentence)
