"""Files become examples, predictions become files, and long texts become windows. No torch, no models."""
