from .bucket import S3BucketRepository as S3BucketRepository
from .client import s3_client as s3_client
from .info import S3BucketInfo as S3BucketInfo
from .yaml import YamlMetadataS3Repository as YamlMetadataS3Repository
