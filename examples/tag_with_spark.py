"""Tag a corpus that is too large for one machine, with Spark; see docs/guide/large-corpora.md.

    spark-submit examples/tag_with_spark.py tagger.onnx texts/ tagged/

The columns, and the forms of the files, are those of examples/tag_with_ray.py.
"""

import sys
from collections.abc import Iterator

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from flairlite.deploy import load
from flairlite.splitter import SegtokSentenceSplitter


def main(model: str, source: str, target: str) -> None:  # noqa: D103
    spark = SparkSession.builder.getOrCreate()
    rows = spark.read.json(source) if ".json" in source else spark.read.parquet(source)
    label_types, tags_of_sentences = load(model).label_types, ArrayType(ArrayType(StringType()))

    def tag(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:  # one call for each partition of the rows
        tagger, splitter = load(model), SegtokSentenceSplitter()
        for part in parts:
            texts = [splitter.split(text, link_sentences=False) for text in part["text"].fillna("")]
            tagger.predict([sentence for text in texts for sentence in text], force_token_predictions=True)
            columns = {name: [[s.token_labels(name) for s in text] for text in texts] for name in label_types}
            yield part.assign(words=[[s.words for s in text] for text in texts], **columns)

    added = [StructField(name, tags_of_sentences) for name in ("words", *label_types)]
    rows.mapInPandas(tag, StructType([*rows.schema, *added])).write.parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
