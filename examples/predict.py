"""Predict with the tagger that examples/train_upos.py trained; run that script first."""

from flairlite.data import Sentence
from flairlite.models import SequenceTagger

# load the model you trained
model = SequenceTagger.load("resources/taggers/example-upos/final-model.pt")

# create example sentence
sentence = Sentence("I love Berlin")

# predict tags and print
model.predict(sentence)

print(sentence.to_tagged_string())
