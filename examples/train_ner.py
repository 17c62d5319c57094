"""Train a tagger of named entities on the bundled sample, and predict. `train_ner.py 2` trains two epochs only."""

import sys

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_NER
from flairlite.embeddings import CharacterEmbeddings, StackedEmbeddings, WordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

# 1. the corpus: for your own files, ColumnCorpus("folder", {0: "text", 1: "ner"})
corpus = SAMPLE_NER()
print(corpus)

# 2. the labels
label_dict = corpus.make_label_dictionary("ner")
print(label_dict)

# 3. what is known of a word: a vector, and its characters
embeddings = StackedEmbeddings([WordEmbeddings("glove-mini"), CharacterEmbeddings()])

# 4. the model
tagger = SequenceTagger(hidden_size=128, embeddings=embeddings, tag_dictionary=label_dict, tag_type="ner")

# 5. training, with a report for each kind of entity
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
ModelTrainer(tagger, corpus).train("resources/taggers/example-ner", mini_batch_size=8, max_epochs=epochs)

# 6. prediction with the model that was saved
tagger = SequenceTagger.load("resources/taggers/example-ner/best-model.pt")
sentence = Sentence("Judge Rosalind Achebe moved from Cork to Sweden.")
tagger.predict(sentence)
print(sentence)
for entity in sentence.get_spans("ner"):
    print(entity.text, entity.tag, round(entity.score, 2), entity.start_position, entity.end_position)
