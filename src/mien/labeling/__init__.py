"""Labeling by people: `store` keeps questions and answers, `page` is where people answer in the browser."""
