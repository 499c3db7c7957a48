"""BibTeX of the papers behind the methods."""

WANG_2018 = """@article{wang2018,
  author = {Wang, Xiaoqian and Ghasedi Dizaji, Kamran and Huang, Heng},
  title = {Conditional generative adversarial network for gene expression inference},
  journal = {Bioinformatics}, volume = {34}, number = {17}, pages = {i603--i611}, year = {2018},
  doi = {10.1093/bioinformatics/bty563}
}"""
