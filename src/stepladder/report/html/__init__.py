"""What ``report.html`` is made of: the charts' numbers, the model's mistakes, the network, and the page around them."""
