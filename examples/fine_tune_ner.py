"""Fine-tune a transformer as a named entity tagger on the bundled sample. `fine_tune_ner.py 1` trains one epoch."""

import sys

from small_transformer import find_model

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_NER
from flairlite.embeddings import CharacterEmbeddings, StackedEmbeddings, TransformerWordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

# 1. load the corpus
corpus = SAMPLE_NER()

# 2. make the label dictionary from the corpus
label_dict = corpus.make_label_dictionary("ner")

# 3. initialize embeddings: a transformer that reads words of neighbouring sentences too (FLERT), and characters
transformer = TransformerWordEmbeddings(find_model(corpus), use_context=16)
embeddings = StackedEmbeddings([transformer, CharacterEmbeddings()])

# 4. initialize sequence tagger
tagger = SequenceTagger(embeddings, label_dict, "ner", hidden_size=128)

# 5. fine-tune the transformer slowly, and train all else faster; keep the model that is best on dev
base_path = "resources/taggers/example-fine-tuned-ner"
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
rates = {"decoder_learning_rate": 2e-3, "embedding_learning_rates": {"Char": 2e-3}}
ModelTrainer(tagger, corpus).fine_tune(
    base_path, learning_rate=1e-4, mini_batch_size=8, max_epochs=epochs, use_final_model_for_eval=False, **rates
)

# 6. predict with the saved model, which needs no other file
tagger = SequenceTagger.load(f"{base_path}/best-model.pt")
sentence = Sentence("Judge Rosalind Achebe moved from Cork to Sweden.")
tagger.predict(sentence)
print(sentence)
