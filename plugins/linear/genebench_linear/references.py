"""BibTeX of the papers behind the methods."""

WANG_2018 = """@article{wang2018,
  author = {Wang, Xiaoqian and Ghasedi Dizaji, Kamran and Huang, Heng},
  title = {Conditional generative adversarial network for gene expression inference},
  journal = {Bioinformatics}, volume = {34}, number = {17}, pages = {i603--i611}, year = {2018},
  doi = {10.1093/bioinformatics/bty563}
}"""
MUKHERJEE_2011 = """@article{mukherjee2011,
  author = {Mukherjee, Ashin and Zhu, Ji},
  title = {Reduced rank ridge regression and its kernel extensions},
  journal = {Statistical Analysis and Data Mining}, volume = {4}, number = {6},
  pages = {612--622}, year = {2011}, doi = {10.1002/sam.10138}
}"""
