"""BibTeX of the papers behind the methods."""

RASMUSSEN_2006 = """@book{rasmussen2006,
  author = {Rasmussen, Carl Edward and Williams, Christopher K. I.},
  title = {Gaussian Processes for Machine Learning}, publisher = {MIT Press}, year = {2006}
}"""
WILLIAMS_2001 = r"""@inproceedings{williams2001,
  author = {Williams, Christopher K. I. and Seeger, Matthias},
  title = {Using the {Nystr{\"o}m} method to speed up kernel machines},
  booktitle = {Advances in Neural Information Processing Systems 13}, pages = {682--688},
  year = {2001}
}"""
