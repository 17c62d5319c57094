"""Fine-tune a transformer as a part-of-speech tagger on the bundled sample. `fine_tune_upos.py 1` trains one epoch."""

import sys

from small_transformer import find_model

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.embeddings import TransformerWordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

# 1. load the corpus
corpus = SAMPLE_ENGLISH()

# 2. make the label dictionary from the corpus
label_dict = corpus.make_label_dictionary("upos")

# 3. initialize embeddings: a folder with a model, or a name such as "bert-base-uncased"
embeddings = TransformerWordEmbeddings(find_model(corpus), subtoken_pooling="first_last")

# 4. initialize sequence tagger: the transformer and a linear layer
tagger = SequenceTagger(embeddings, label_dict, "upos", use_rnn=False, use_crf=False, reproject_embeddings=False)

# 5. fine-tune: small learning rates, smaller ones in the lower layers, and a larger one for the new layer
base_path = "resources/taggers/example-fine-tuned-upos"
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
ModelTrainer(tagger, corpus).fine_tune(
    base_path, learning_rate=2e-4, decoder_learning_rate=2e-3, layer_decay=0.9, mini_batch_size=16, max_epochs=epochs
)

# 6. predict with the saved model, which needs no other file
tagger = SequenceTagger.load(f"{base_path}/final-model.pt")
sentence = Sentence("I love Berlin")
tagger.predict(sentence)
print(sentence.to_tagged_string())
