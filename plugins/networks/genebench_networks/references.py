"""BibTeX of the papers behind the methods."""

GORISHNIY_2025 = """@inproceedings{gorishniy2025,
  author = {Gorishniy, Yury and Kotelnikov, Akim and Babenko, Artem},
  title = {{TabM}: advancing tabular deep learning with parameter-efficient ensembling},
  booktitle = {International Conference on Learning Representations}, year = {2025}
}"""
WEN_2020 = """@inproceedings{wen2020,
  author = {Wen, Yeming and Tran, Dustin and Ba, Jimmy},
  title = {{BatchEnsemble}: an alternative approach to efficient ensemble and lifelong learning},
  booktitle = {International Conference on Learning Representations}, year = {2020}
}"""
KUNC_2021 = r"""@article{kunc2021,
  author = {Kunc, Vladim{\'i}r and Kl{\'e}ma, Ji{\v{r}}{\'i}},
  title = {On transformative adaptive activation functions in neural networks for gene expression
           inference},
  journal = {PLOS ONE}, volume = {16}, number = {1}, pages = {e0243915}, year = {2021},
  doi = {10.1371/journal.pone.0243915}
}"""
KUNC_2020 = r"""@article{kunc2020,
  author = {Kunc, Vladim{\'i}r and Kl{\'e}ma, Ji{\v{r}}{\'i}},
  title = {On tower and checkerboard neural network architectures for gene expression inference},
  journal = {BMC Genomics}, volume = {21}, number = {Suppl 5}, pages = {454}, year = {2020},
  doi = {10.1186/s12864-020-06821-6}
}"""
