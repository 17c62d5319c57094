"""The module of each class of embeddings, which is imported when a program or a file needs the class."""

MODULES = {
    "AffixEmbeddings": "flairlite.embeddings.subwords",
    "CharacterCNNEmbeddings": "flairlite.embeddings.characters",
    "CharacterEmbeddings": "flairlite.embeddings.characters",
    "ClusterEmbeddings": "flairlite.embeddings.lexicon_embeddings",
    "DocumentCNNEmbeddings": "flairlite.embeddings.document",
    "DocumentPoolEmbeddings": "flairlite.embeddings.document",
    "DocumentRNNEmbeddings": "flairlite.embeddings.document",
    "FlairCharacterEmbeddings": "flairlite.embeddings.characters",
    "FlairEmbeddings": "flairlite.embeddings.flair",
    "HashEmbeddings": "flairlite.embeddings.trained",
    "LexiconEmbeddings": "flairlite.embeddings.lexicon_embeddings",
    "OneHotEmbeddings": "flairlite.embeddings.trained",
    "PooledFlairEmbeddings": "flairlite.embeddings.pooled_flair",
    "StackedEmbeddings": "flairlite.embeddings.stacked",
    "SubwordEmbeddings": "flairlite.embeddings.subwords",
    "TransformerDocumentEmbeddings": "flairlite.embeddings.transformer",
    "TransformerWordEmbeddings": "flairlite.embeddings.transformer",
    "WordEmbeddings": "flairlite.embeddings.word",
    "WordShapeEmbeddings": "flairlite.embeddings.shapes",
}
