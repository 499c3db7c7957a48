"""BibTeX of the papers behind the methods."""

KE_2017 = """@inproceedings{ke2017,
  author = {Ke, Guolin and Meng, Qi and Finley, Thomas and Wang, Taifeng and Chen, Wei and
            Ma, Weidong and Ye, Qiwei and Liu, Tie-Yan},
  title = {{LightGBM}: a highly efficient gradient boosting decision tree},
  booktitle = {Advances in Neural Information Processing Systems 30}, year = {2017}
}"""
