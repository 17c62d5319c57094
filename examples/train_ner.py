"""Train a named entity tagger on the bundled sample, and predict. `train_ner.py 2` trains for two epochs only."""

import sys

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_NER
from flairlite.embeddings import CharacterEmbeddings, StackedEmbeddings, WordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

# 1. load the corpus; for your own files: ColumnCorpus("folder", {0: "text", 1: "ner"})
corpus = SAMPLE_NER()
print(corpus)

# 2. make the label dictionary from the corpus
label_dict = corpus.make_label_dictionary("ner")
print(label_dict)

# 3. initialize embeddings: word vectors and character features
embeddings = StackedEmbeddings([WordEmbeddings("glove-mini"), CharacterEmbeddings()])

# 4. initialize sequence tagger
tagger = SequenceTagger(hidden_size=128, embeddings=embeddings, tag_dictionary=label_dict, tag_type="ner")

# 5. train; the log ends with the scores by entity type
base_path = "resources/taggers/example-ner"
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
ModelTrainer(tagger, corpus).train(base_path, mini_batch_size=8, max_epochs=epochs)
print(f"Saved in {base_path}")

# 6. predict with the saved model
tagger = SequenceTagger.load(f"{base_path}/best-model.pt")
sentence = Sentence("Judge Rosalind Achebe moved from Cork to Sweden.")
tagger.predict(sentence)
print(sentence)
for entity in sentence.get_spans("ner"):
    print(entity.text, entity.tag, round(entity.score, 2), entity.start_position, entity.end_position)
